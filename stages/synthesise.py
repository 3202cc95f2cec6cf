"""Synthesise the embedded source: handwritten Roman numerals i to x with known faults and their truth.

Writes  --source  zip: train/<class>/<n>.png (faults planted), label_book/ and test/ (clean), and
                  truth.csv (name,label,noise), one row per train image: the class drawn, empty for junk; 1 for junk
        --sheet   PNG for people: clean images of train beside test, wrong labels, junk
Params  synthesise
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from winnow.pipeline.fields import Count, Seed, Share, Spread, section
from winnow.pipeline.files import write_bytes
from winnow.pipeline.stage import Sections, run_stage
from winnow.synthetic.files import png_bytes, source_sheet, zip_bytes
from winnow.synthetic.numerals import CLASSES
from winnow.synthetic.setting import Setting
from winnow.synthetic.source import Pool, draw, plan_clean, plan_faulty

Counts = Annotated[list[Count], Field(min_length=len(CLASSES), max_length=len(CLASSES))]


@section
class Params:
    """Section `synthesise`."""

    seed: Seed
    train_counts: Counts  # images per class as filed, i to x, faults included
    label_book_counts: Counts
    test_per_class: Count
    wrong_labels: Share  # share of train that shows another numeral than its folder says
    junk: Share  # share of train that shows none of the ten
    train_writers: Count
    test_writers: Count  # others than train's; the label book has as many of its own
    train_spread: Spread  # how much the writers' geometry differs; 1 is what many people's scans show
    test_spread: Spread
    train_inverted: Share  # share of white-on-black images
    test_inverted: Share
    setting: str  # which of settings
    settings: dict[str, Setting]

    def __post_init__(self) -> None:
        if self.setting not in self.settings:
            raise ValueError(f"setting must be one of {', '.join(self.settings)}, got {self.setting}")
        if self.wrong_labels + self.junk > 1:
            raise ValueError(f"wrong_labels and junk must not exceed 1 together, got {self.wrong_labels + self.junk}")

    @property
    def chosen(self) -> Setting:
        """The setting that the source is drawn in."""
        return self.settings[self.setting]


def main(params: Params, *, source: Path, sheet: Path) -> None:
    """Run the stage on the files given."""
    train = plan_faulty(
        "train",
        params.train_counts,
        wrong_labels=params.wrong_labels,
        junk=params.junk,
        confused=params.chosen.confused,
        seed=params.seed,
    )
    label_book = plan_clean("label_book", params.label_book_counts)
    test = plan_clean("test", [params.test_per_class] * len(CLASSES))
    drawings = [*train, *label_book, *test]
    pools = {split: _pool(params, split) for split in ("train", "label_book", "test")}
    images = {drawing.name: draw(drawing, pools[drawing.split], params.seed) for drawing in drawings}
    truth = [f"{drawing.name},{drawing.truth},{int(not drawing.truth)}" for drawing in train]
    files = {name: png_bytes(pixels) for name, pixels in images.items()}
    files["truth.csv"] = "\n".join(["name,label,noise", *truth, ""]).encode()
    write_bytes(source, zip_bytes(files))
    write_bytes(sheet, source_sheet(drawings, images))
    wrong = sum(drawing.truth not in ("", drawing.label) for drawing in train)
    print(
        f"synthesise: {len(train)} train images ({wrong} wrong labels, {sum(not d.truth for d in train)} junk), "
        f"{len(label_book)} in the label book, {len(test)} to test"
    )


def _pool(params: Params, split: str) -> Pool:
    writers, spread, inverted = (
        (params.train_writers, params.train_spread, params.train_inverted)
        if split == "train"
        else (params.test_writers, params.test_spread, params.test_inverted)
    )
    return Pool.of(split, writers, seed=params.seed, spread=spread, inverted=inverted, setting=params.chosen)


SECTIONS: Sections = {"params": ("synthesise", Params)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
