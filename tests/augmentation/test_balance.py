"""Who gets how many copies: exact for any class counts, and one sentence where it cannot be."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.datasets import make_dataset
from winnow.augmentation.balance import (
    choose_parents,
    choose_share,
    count_within,
    filled_up,
    images_per_class,
    reached,
    room_left,
    short_of_balance,
    without_surplus,
)
from winnow.dataset.samples import read_samples, samples_table
from winnow.pipeline.messages import UserError

counts_by_class = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@given(counts_by_class, st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_every_class_comes_to_the_same_count_within_the_budget(counts: list[int], spare: int, seed: int) -> None:
    budget = max(counts) * len(counts) + spare
    per_class = images_per_class(dict(zip("abcdefghijkl", counts, strict=False)), room=budget)
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    parents = choose_parents(labels, per_class=per_class, rng=np.random.default_rng(seed))
    after = np.bincount(labels) + np.bincount(labels[parents], minlength=len(counts))
    assert set(after) == {per_class}
    assert per_class * len(counts) <= budget < (per_class + 1) * len(counts)  # and it is the largest such count
    for label in range(len(counts)):
        times = [int((parents == row).sum()) for row in np.flatnonzero(labels == label)]
        assert max(times) - min(times) <= 1
    assert (np.diff(parents) >= 0).all()


@given(counts_by_class, st.integers(0, 900), st.integers(0, 2**32 - 1))
def test_a_budget_that_is_too_small_for_balance_brings_the_others_as_near_as_it_allows(
    counts: list[int], room: int, seed: int
) -> None:
    per_class = images_per_class({f"c{k}": count for k, count in enumerate(counts)}, room=room)

    def after(level: int) -> int:
        return sum(max(count, level) for count in counts)

    labels = np.repeat(np.arange(len(counts)), counts)
    parents = choose_parents(labels, per_class=per_class, rng=np.random.default_rng(seed))
    if sum(counts) >= room:
        assert len(parents) == 0
    else:
        assert after(per_class) <= room < after(per_class + 1)
        assert len(parents) == after(per_class) - sum(counts)


def test_what_is_said_of_the_counts() -> None:
    assert reached(np.array([4, 4]), copies=3, setting="x") == "4 training images in each of 2 classes"
    assert reached(np.array([4, 9]), copies=1, setting="x") == "4 to 9 training images in 2 classes, as x allows"
    assert reached(np.array([4, 9]), copies=0, setting="x").startswith("no copies: 4 to 9 training images")


def test_a_class_of_one_image_has_all_its_copies_from_it() -> None:
    parents = choose_parents([0, 1, 1], per_class=5, rng=np.random.default_rng(0))
    assert Counter(parents.tolist())[0] == 4
    assert sorted(Counter(parents.tolist()).values()) == [1, 2, 4]


@given(counts_by_class, st.integers(0, 300), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_no_image_has_more_copies_than_the_most_and_the_other_classes_have_what_they_had(
    counts: list[int], spare: int, most: int, seed: int
) -> None:
    labels, per_class = np.repeat(np.arange(len(counts)), counts), max(counts) + spare
    free = choose_parents(labels, per_class=per_class, rng=np.random.default_rng(seed))
    bound = choose_parents(labels, per_class=per_class, rng=np.random.default_rng(seed), most=most)
    times = np.bincount(bound, minlength=len(labels))
    assert times.tolist() == np.minimum(np.bincount(free, minlength=len(labels)), most).tolist()
    after = np.array(counts) + np.bincount(labels[bound], minlength=len(counts))
    assert after.tolist() == [min(per_class, count * (1 + most)) for count in counts]


def test_classes_short_of_balance_are_named() -> None:
    names, counts = [*"abcdefg", "odd\n"], np.array([9, 5, 4, 9, 3, 2, 1, 8])
    said = short_of_balance(names, counts, per_class=9, most=2)
    assert said == (
        "; fewer in b (5), c (4), e (3), f (2), g (1) and 1 more, since an image has at most 2 copies "
        "(augment.max_copies)"
    )
    assert "'odd\\n' (8), since" in short_of_balance(names[6:], counts[6:], per_class=9, most=2)
    assert short_of_balance(names, np.full(8, 9), per_class=9, most=2) == ""
    said = filled_up(names[6:], counts[6:], per_class=9, copies=1, most=2)
    assert (
        said == f"9 training images in each of 2 classes{short_of_balance(names[6:], counts[6:], per_class=9, most=2)}"
    )
    said = filled_up(names[6:], np.array([4, 9]), per_class=9, copies=1, most=None)
    assert said == "4 to 9 training images in 2 classes, as judge.max_images allows"


def test_the_odd_copies_fall_by_the_seed() -> None:
    draws = {tuple(choose_parents([0] * 10, per_class=15, rng=np.random.default_rng(seed))) for seed in range(20)}
    again = {tuple(choose_parents([0] * 10, per_class=15, rng=np.random.default_rng(seed))) for seed in range(20)}
    assert len(draws) > 10
    assert draws == again


def test_a_class_that_is_larger_than_the_count_gets_no_copies() -> None:
    assert choose_parents([0, 1, 1, 1], per_class=2, rng=np.random.default_rng(0)).tolist() == [0]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_share_is_that_of_every_class(counts: list[int], share: float, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    chosen = choose_share(labels, share=share, rng=np.random.default_rng(seed))
    for label, count in enumerate(counts):
        assert abs(chosen[labels == label].sum() - share * count) <= 0.5


def test_copies_do_not_count_and_validation_does(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "set", {"train": 7, "val": 5, "label_book": 3})
    samples = read_samples(folder)
    copied = {**samples.slice(0, 1).to_pylist()[0], "id": "copy", "parent": samples["id"][0].as_py()}
    samples = samples_table([*samples.to_pylist(), copied, {**copied, "id": "other"}], ["i", "ii", "iii"])
    assert count_within(samples, budget=9, max_images=14) == 3  # the largest class has 3, not 5
    assert count_within(samples, budget=9, max_images=13) == 2


def test_copies_above_the_share_of_a_class_go_and_nothing_else_does(tmp_path: Path) -> None:
    samples = read_samples(make_dataset(tmp_path / "set", {"train": 7, "val": 5}))
    parents = samples.to_pylist()
    copies = [
        {**parents[0], "id": f"{split}{n}", "parent": parents[0]["id"], "split": split}
        for split in ("train", "val")
        for n in range(4)
    ]
    samples = samples_table([*parents, *copies], ["i", "ii", "iii"])

    def left(per_class: int) -> Counter[tuple[str, bool]]:
        kept = without_surplus(samples, per_class=per_class, rng=np.random.default_rng(0))
        assert kept.schema.equals(samples.schema, check_metadata=True)
        return Counter((row["split"], row["parent"] is None) for row in kept.to_pylist())

    whole = {("train", True): 7, ("val", True): 5, ("train", False): 4, ("val", False): 4}
    assert left(7) == whole  # i has 3 images and 4 copies in train
    assert left(5) == whole | {("train", False): 2}
    assert left(1) == {key: count for key, count in whole.items() if key != ("train", False)}


def test_a_class_without_training_images_is_named(tmp_path: Path) -> None:
    samples = read_samples(make_dataset(tmp_path / "set", {"train": 2, "val": 3}))
    with pytest.raises(UserError, match=r"^class iii has no training image left to augment; .*$"):
        count_within(samples, budget=100, max_images=1000)


def test_the_room_of_an_image_is_what_its_copies_leave(tmp_path: Path) -> None:
    samples = read_samples(make_dataset(tmp_path / "set", {"train": 4, "val": 1}))
    rows = samples.to_pylist()
    copies = [{**rows[0], "id": f"c{n}", "parent": rows[parent]["id"]} for n, parent in enumerate([0, 0, 0, 2, 4])]
    every = samples_table([*rows, *copies], ["i", "ii", "iii"])
    assert room_left(every, samples.slice(0, 4), 2).tolist() == [0, 2, 1, 2]
    assert room_left(samples, samples, 2).tolist() == [2] * 5
