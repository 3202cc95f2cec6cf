"""The stage that fills every class up with inverted copies of ordinary images."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stages.augment_inversion import main
from tests.support.datasets import CLASSES, make_dataset
from tests.support.inputs import competition_inputs, no_pixels
from winnow.dataset.images import read_images
from winnow.dataset.samples import read_samples
from winnow.pipeline.files import digest

COUNTS = {"train": 13, "val": 6, "label_book": 3}  # train: 5, 4 and 4
MOST = 42  # images in train and val: 12 of train in each class


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("source") / "set", COUNTS)


def filled(folder: Path, source: Path, *, seed: int = 0, most: int = MOST) -> Path:
    folder.mkdir()
    inputs = competition_inputs(folder, "model", "pixels", "user")
    main(seed, 20, 2.0, most, dataset=source, augmented=folder / "out", **inputs)
    return folder / "out"


def test_each_class_is_brought_to_the_count_of_the_last_row(tmp_path: Path, source: Path) -> None:
    before, after = read_samples(source), read_samples(filled(tmp_path / "a", source))
    assert after.slice(0, len(before)).equals(before)
    train = [row for row in after.to_pylist() if row["split"] == "train"]
    assert Counter(row["label"] for row in train) == dict.fromkeys(CLASSES, (MOST - 6) // 3)
    assert len(set(after["id"].to_pylist())) == len(after)


def test_copies_are_inverted_images_and_no_image_is_preferred(tmp_path: Path, source: Path) -> None:
    out = filled(tmp_path / "a", source)
    rows = read_samples(out).to_pylist()
    by_id = {row["id"]: row for row in rows}
    copies = [row for row in rows if row["parent"] is not None]
    assert copies
    pixels = read_images(out, [row["id"] for row in copies], no_pixels(out))
    for row, image in zip(copies, pixels, strict=True):
        parent = by_id[row["parent"]]
        (original,) = read_images(out, [row["parent"]], no_pixels(out))
        assert np.array_equal(image, 255 - original)
        assert (row["label"], row["split"], row["group"]) == (parent["label"], "train", parent["group"])
        assert row["origin"] == "inversion"
        assert row["operations"] == '[{"operation": "invert", "magnitude": 1.0}]'
    times = Counter(row["parent"] for row in copies)
    for label in CLASSES:
        used = [
            times[row["id"]] for row in read_samples(source).to_pylist() if row["name"].startswith(f"train/{label}/")
        ]
        assert max(used) - min(used) <= 1


def test_the_seed_chooses_which_images_are_copied_once_more(tmp_path: Path, source: Path) -> None:
    one, same, other = (filled(tmp_path / name, source, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert digest([one]) == digest([same]) != digest([other])


def test_a_dataset_that_has_as_many_as_an_arm_may_hold_is_passed_on(tmp_path: Path, source: Path) -> None:
    assert read_samples(filled(tmp_path / "a", source, most=18)).equals(read_samples(source))
