"""Run the model's backbone once over every source image; heads are trained on its features.

A part of the images whose features are there is not computed again: an image that is added or changed costs its own
part alone, and a run that was stopped goes on where it was. The competition's model has no features that stay the same.

Reads   --prepared  dataset: train, val, label_book
        --pixels    arrays by id, at the model's size
        --model     JSON: the model
        --user      folder with the user's own code and weights
Writes  --features  arrays by id: index.parquet (id, array, row) and (n, D) float16 arrays; none for the competition
"""

import time
from pathlib import Path

from winnow.backbone.card import read_card
from winnow.dataset.samples import read_samples
from winnow.model.extraction import Extraction, write_features
from winnow.pipeline.stage import Sections, run_stage


def main(*, prepared: Path, pixels: Path, model: Path, user: Path, features: Path) -> None:
    """Run the stage on the dataset given."""
    card = read_card(model)
    ids = [] if card.competition else read_samples(prepared)["id"].to_pylist()
    began = time.monotonic()
    computed = write_features(Extraction(card, user), [pixels], ids, features)
    seconds = time.monotonic() - began
    speed = f", {computed / seconds:.0f} images a second" if computed else ""
    print(f"features: {len(ids)} images by {card.model}; {computed} computed, {len(ids) - computed} reused{speed}")


SECTIONS: Sections = {}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
