"""Decode every source image once, at the size that the model asks for, into arrays that later stages map.

The square of an image that was there in an earlier run is used again: an image that is added or changed is decoded
alone, and every byte is that of a fresh run.

Reads   --prepared  dataset: train, val, label_book
        --model     JSON: the size, and how an image becomes a square of it
Writes  --pixels    arrays by id: index.parquet (id, array, row) and (n, S, S, 1 or 3) uint8 arrays named by content
        --made      JSON: what made them, for the next run
"""

from pathlib import Path

from winnow.backbone.card import read_card
from winnow.dataset.samples import read_samples
from winnow.model.square_files import known_squares, note_made, write_squares
from winnow.pipeline.stage import Sections, run_stage


def main(*, prepared: Path, model: Path, pixels: Path, made: Path) -> None:
    """Run the stage on the dataset given."""
    card, ids = read_card(model), read_samples(prepared)["id"].to_pylist()
    decoded = write_squares(prepared, ids, card, known_squares(card, pixels, made))
    note_made(card, pixels, made)
    print(
        f"pixels: {len(ids)} images at {card.pixels} x {card.pixels} pixels ({card.resize}); {decoded} decoded, "
        f"{len(ids) - decoded} reused"
    )


SECTIONS: Sections = {}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
