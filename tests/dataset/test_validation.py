"""Validation images are dealt anew by whole groups: few stay, none comes from train."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from winnow.dataset.samples import samples_table
from winnow.dataset.validation import deal_validation

CLASSES = ["i", "ii", "iii"]


def dataset(groups: int = 20) -> pa.Table:
    """Images of three classes: 30 of train, 5 of the label book, 60 of val in groups of one to many; 2 of iii there."""
    rows: list[dict[str, object]] = []
    for number in range(95):
        split = "train" if number < 30 else "val" if number < 90 else "label_book"
        label = CLASSES[number % 2] if split == "val" and number not in (40, 41) else CLASSES[number % 3]
        if number in (40, 41):
            label = "iii"
        group = f"{split}{number % groups if split == 'val' else number}"
        row: dict[str, Any] = {"id": f"{number:04d}", "name": f"{split}/{number}", "split": split, "label": label}
        row |= {"given_label": label, "origin": "source", "pixel_hash": "", "channels": 1, "width": 4, "height": 4}
        rows.append(row | {"group": group})
    return samples_table(rows, CLASSES)


def splits(samples: pa.Table) -> dict[str, str]:
    return dict(zip(samples["id"].to_pylist(), samples["split"].to_pylist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_as_many_of_a_class_stay_as_wanted_where_each_image_is_alone(seed: int) -> None:
    before = dataset(groups=1000)
    after = deal_validation(before, per_class=7, seed=seed)
    assert after.drop(["split"]).equals(before.drop(["split"]))
    counts = Counter(row["label"] for row in after.to_pylist() if row["split"] == "val")
    assert counts == {"i": 7, "ii": 7, "iii": 2}
    moves = {(splits(before)[one], split) for one, split in splits(after).items()}
    assert moves == {("train", "train"), ("val", "val"), ("val", "train"), ("label_book", "label_book")}


@pytest.mark.parametrize("seed", range(5))
def test_a_group_stays_or_moves_as_a_whole_and_no_class_is_short(seed: int) -> None:
    after = deal_validation(dataset(groups=9), per_class=7, seed=seed)
    of_val = [row for row in after.to_pylist() if row["group"].startswith("val")]
    sides = {(row["group"], row["split"]) for row in of_val}
    assert len(sides) == len({group for group, _ in sides}) == 9
    counts = Counter(row["label"] for row in of_val if row["split"] == "val")
    assert min(counts["i"], counts["ii"]) >= 7
    assert counts["iii"] == 2
    assert {split for _, split in sides} == {"train", "val"}


def test_without_a_number_nothing_moves() -> None:
    before = dataset()
    assert deal_validation(before, per_class=0, seed=0).equals(before)


def test_the_seed_alone_draws() -> None:
    first, again, other = (splits(deal_validation(dataset(1000), per_class=5, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_datasets_that_share_images_share_those_that_stay() -> None:
    before = dataset(1000)
    fewer = before.filter(pa.array([row["id"] not in ("0033", "0055") for row in before.to_pylist()]))
    kept = [
        {one for one, split in splits(deal_validation(samples, per_class=5, seed=3)).items() if split == "val"}
        for samples in (before, fewer)
    ]
    assert len(kept[0] - kept[1]) <= 2
