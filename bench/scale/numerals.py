"""The embedded source in any number: drawn one numeral after the other, straight into the zip."""

from dataclasses import replace
from pathlib import Path

from bench.plant import Row, write_zip
from stages.synthesise import Params
from winnow.pipeline.params import load_params
from winnow.synthetic.files import png_bytes
from winnow.synthetic.numerals import CLASSES
from winnow.synthetic.source import Pool, draw, plan_clean, plan_faulty

LABEL_BOOK = 5  # images a class
TEST = 0.1  # share of the images
JUNK = 0.03
WRITERS = 1 / 50  # of an image of train and of test: each wrote about 50


def write_numerals(out: Path, *, images: int) -> list[Row]:
    """Write a zip with the splits train, label_book and test, and give the rows of its truth.csv.

    Spread, inversion, setting and the share of wrong labels are those of params.yaml.

    Args:
        out: the zip.
        images: in all splits together, of each class as many.

    Raises:
        ValueError: too few for each split to have one of every class.

    Memory: the names, the writers, and one image.
    """
    params = replace(load_params("synthesise", Params), junk=JUNK)
    test = round(TEST * images / len(CLASSES))
    train = images // len(CLASSES) - test - LABEL_BOOK
    if min(test, train) < 1:
        raise ValueError(f"images must be enough for every split to have one of every class, got {images}")
    planned = plan_faulty(
        "train",
        [train] * len(CLASSES),
        wrong_labels=params.wrong_labels,
        junk=params.junk,
        confused=params.chosen.confused,
        seed=params.seed,
    )
    rest = [*plan_clean("label_book", [LABEL_BOOK] * len(CLASSES)), *plan_clean("test", [test] * len(CLASSES))]
    pools = {
        "train": _pool(params, "train", train, params.train_spread, params.train_inverted),
        "label_book": _pool(params, "label_book", LABEL_BOOK, params.test_spread, params.test_inverted),
        "test": _pool(params, "test", test, params.test_spread, params.test_inverted),
    }
    rows: list[Row] = [(one.name, one.truth, int(not one.truth)) for one in planned]
    drawings = sorted([*planned, *rest], key=lambda one: one.name)
    write_zip(out, ((one.name, png_bytes(draw(one, pools[one.split], params.seed))) for one in drawings), rows)
    return rows


def _pool(params: Params, split: str, images: int, spread: float, inverted: float) -> Pool:
    """The writers of so many images of each class."""
    count = max(1, round(WRITERS * images * len(CLASSES)))
    return Pool.of(split, count, seed=params.seed, spread=spread, inverted=inverted, setting=params.chosen)
