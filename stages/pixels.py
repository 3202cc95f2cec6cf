"""Decode every source image once, at the size that the model asks for, into arrays that later stages map.

Reads   --prepared  dataset: train, val, label_book
        --model     JSON: the size, and how an image becomes a square of it
Writes  --pixels    arrays by id: index.parquet (id, array, row) and (n, S, S, 1 or 3) uint8 arrays named by content
"""

from pathlib import Path

from winnow.backbone.card import read_card
from winnow.dataset.arrays import write_rows
from winnow.dataset.samples import read_samples
from winnow.model.squares import squares
from winnow.pipeline.files import fresh_folder
from winnow.pipeline.stage import Sections, run_stage


def main(*, prepared: Path, model: Path, pixels: Path) -> None:
    """Run the stage on the dataset given."""
    card, ids = read_card(model), read_samples(prepared)["id"].to_pylist()
    write_rows(fresh_folder(pixels), squares(prepared, ids, card))
    print(f"pixels: {len(ids)} images at {card.pixels} x {card.pixels} pixels ({card.resize})")


SECTIONS: Sections = {}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
