import dataclasses
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.intake.splits import PRECEDENCE, SplitPlan, count_duplicates, draw_missing, find_leaks

PLAN = SplitPlan(seed=0, val_fraction=0.2, test_fraction=0.2, label_book_per_class=5)

images = st.lists(
    st.tuples(st.sampled_from(PRECEDENCE), st.sampled_from("abc"), st.integers(0, 12).map(str)), max_size=60
)


def columns(rows: list[tuple[str, str, str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], []]


def distinct(per_class: dict[str, int]) -> tuple[list[str], list[str]]:
    """Labels and hashes of that many different images a class."""
    labels = [label for label, n in per_class.items() for _ in range(n)]
    return labels, [f"{label}{number}" for number, label in enumerate(labels)]


# --- leaks ----------------------------------------------------------------------------------------------------------


@given(images)
def test_leaks_are_what_a_search_over_all_pairs_finds(rows: list[tuple[str, str, str]]) -> None:
    splits, _, hashes = columns(rows)
    expected = []
    for split, pixels in zip(splits, hashes, strict=True):
        holders = [other for other, same in zip(splits, hashes, strict=True) if same == pixels]
        highest = max(holders, key=PRECEDENCE.index)
        expected.append(None if highest == split else highest)
    assert find_leaks(splits, hashes) == expected


def test_precedence_is_test_label_book_val_train() -> None:
    assert find_leaks(["train", "val", "label_book", "test"], ["x"] * 4) == ["test", "test", "test", None]
    assert find_leaks(["train", "label_book", "val"], ["x"] * 3) == ["label_book", None, "label_book"]
    assert find_leaks(["train", "train"], ["x"] * 2) == [None, None]


@settings(max_examples=300)
@given(images, st.integers(0, 3))
def test_no_pixels_in_two_splits(rows: list[tuple[str, str, str]], seed: int) -> None:
    splits, labels, hashes = columns(rows)
    kept = [row for row, keeper in zip(rows, find_leaks(splits, hashes), strict=True) if keeper is None]
    splits, labels, hashes = columns(kept)
    drawn = draw_missing(splits, labels, hashes, hashes, dataclasses.replace(PLAN, seed=seed))
    homes: dict[str, set[str]] = {}
    for split, pixels in zip(drawn, hashes, strict=True):
        homes.setdefault(pixels, set()).add(split)
    assert all(len(home) == 1 for home in homes.values())


# --- draws ----------------------------------------------------------------------------------------------------------


def test_strata_are_exact() -> None:
    sizes = {"a": 100, "b": 53, "c": 17, "d": 6, "e": 4, "f": 3, "g": 2, "h": 1}
    labels, hashes = distinct(sizes)
    drawn = draw_missing(["train"] * len(labels), labels, hashes, hashes, PLAN)
    counts = {label: Counter(s for s, other in zip(drawn, labels, strict=True) if other == label) for label in sizes}
    for label, n in sizes.items():
        test = max(0, min(n - 2, max(1, math.floor(0.2 * n + 0.5))))
        pool = max(0, min(n - test - 2, max(2, math.floor(0.2 * (n - test) + 0.5))))
        book = min(5, pool // 2)
        wanted = {"test": test, "val": pool - book, "label_book": book, "train": n - test - pool}
        assert counts[label] == Counter(wanted), label
    assert counts["a"] == {"train": 64, "test": 20, "val": 11, "label_book": 5}
    assert counts["e"] == {"train": 2, "test": 1, "val": 1}  # the label book has to go without
    assert counts["g"] == {"train": 2}  # one is judged by networks that learnt from the other
    assert counts["h"] == {"train": 1}


def test_with_a_label_book_val_is_the_fraction_alone() -> None:
    labels, hashes = distinct({"a": 50, "b": 1})
    splits = ["train"] * 40 + ["test"] * 5 + ["label_book"] * 5 + ["train"]
    drawn = draw_missing(splits, labels, hashes, hashes, PLAN)
    assert Counter(drawn) == {"train": 33, "val": 8, "test": 5, "label_book": 5}
    assert drawn[40:] == splits[40:]  # delivered splits stay, and the last training image of a class too


def test_a_drawn_label_book_takes_at_most_half_of_a_delivered_val() -> None:
    labels, hashes = distinct({"a": 30})
    drawn = draw_missing(["train"] * 20 + ["val"] * 7 + ["test"] * 3, labels, hashes, hashes, PLAN)
    assert Counter(drawn) == {"train": 20, "val": 4, "label_book": 3, "test": 3}


@pytest.mark.parametrize("times", [2, 3, 7])
def test_copies_are_drawn_together(times: int) -> None:
    labels, hashes = ["a"] * 21 * times, [str(number // times) for number in range(21 * times)]
    for seed in range(20):
        drawn = draw_missing(["train"] * len(labels), labels, hashes, hashes, dataclasses.replace(PLAN, seed=seed))
        assert all(len(set(drawn[start : start + times])) == 1 for start in range(0, len(drawn), times))
        assert set(drawn) >= {"train", "test", "val"}
        assert drawn.count("test") == 4 * times  # a fifth of 21 groups


def test_a_class_of_copies_gives_one_group_that_is_larger_than_the_share() -> None:
    labels, hashes = ["a"] * 9, [str(number // 3) for number in range(9)]
    drawn = draw_missing(["train"] * 9, labels, hashes, hashes, PLAN)
    assert Counter(drawn) == {"train": 3, "test": 3, "val": 3}  # the label book takes no more than half of val


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_bursts_larger_than_a_share_still_give_every_split_a_whole_one(size: int) -> None:
    """Thirty images a class, in bursts: val gets two, so that the label book can have one of them."""
    labels, hashes = distinct({"a": 30, "b": 30})
    groups = [f"{label}{number // size}" for label in "ab" for number in range(30)]
    for seed in range(10):
        drawn = draw_missing(["train"] * 60, labels, hashes, groups, dataclasses.replace(PLAN, seed=seed))
        for label in "ab":
            assert {split for split, one in zip(drawn, labels, strict=True) if one == label} == set(PRECEDENCE)


def test_copies_whose_labels_differ_are_never_drawn() -> None:
    labels = ["a", "b"] * 18 + ["a"] * 4
    hashes = [str(number // 2) if number < 36 else str(number) for number in range(40)]
    for seed in range(20):
        drawn = draw_missing(["train"] * 40, labels, hashes, hashes, dataclasses.replace(PLAN, seed=seed))
        assert set(drawn[:36]) == {"train"}
        assert Counter(drawn[36:]) == {"test": 4}  # a fifth of 22 is 4


@given(st.permutations(range(60)))
def test_order_does_not_matter(order: list[int]) -> None:
    labels, hashes = distinct({"a": 40, "b": 20})
    drawn = draw_missing(["train"] * 60, labels, hashes, hashes, PLAN)
    shuffled = draw_missing(
        ["train"] * 60, [labels[i] for i in order], [hashes[i] for i in order], [hashes[i] for i in order], PLAN
    )
    assert shuffled == [drawn[i] for i in order]


def test_the_seed_decides() -> None:
    labels, hashes = distinct({"a": 60})
    draws = [
        tuple(draw_missing(["train"] * 60, labels, hashes, hashes, dataclasses.replace(PLAN, seed=seed)))
        for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("newcomer", range(40))
def test_one_more_image_moves_at_most_the_images_at_the_cuts_of_its_class(newcomer: int) -> None:
    labels, hashes = distinct({"a": 42, "b": 30})
    before = draw_missing(["train"] * 72, labels, hashes, hashes, PLAN)
    more = [*hashes, f"new{newcomer}"]
    after = draw_missing(["train"] * 73, [*labels, "a"], more, more, PLAN)
    moved = [label for old, new, label in zip(before, after, labels, strict=False) if old != new]
    # test moves one image at most, val one for the newcomer and one for that one, the label book as many as val does
    assert moved.count("b") == 0
    assert moved.count("a") <= 5


@pytest.mark.parametrize("newcomer", range(40))
def test_one_more_image_moves_at_most_one_in_a_single_draw(newcomer: int) -> None:
    labels, hashes = distinct({"a": 42})
    splits, others = ["train"] * 42, ["test", "label_book"]
    few = [*hashes, "t", "l"]
    more = [*few, f"new{newcomer}"]
    before = draw_missing([*splits, *others], [*labels, "a", "a"], few, few, PLAN)
    after = draw_missing([*splits, *others, "train"], [*labels, *"aaa"], more, more, PLAN)
    assert sum(old != new for old, new in zip(before, after, strict=False)) <= 1


# --- groups ---------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(images, st.integers(0, 3), st.integers(2, 5))
def test_no_group_in_two_splits(rows: list[tuple[str, str, str]], seed: int, coarse: int) -> None:
    groups = [int(pixels) // coarse for _, _, pixels in rows]
    leaks = find_leaks([split for split, _, _ in rows], groups)
    kept = [(row, group) for row, group, keeper in zip(rows, groups, leaks, strict=True) if keeper is None]
    splits, labels, hashes = columns([row for row, _ in kept])
    groups = [group for _, group in kept]
    drawn = draw_missing(splits, labels, hashes, groups, dataclasses.replace(PLAN, seed=seed))
    homes: dict[int, set[str]] = {}
    for split, group in zip(drawn, groups, strict=True):
        homes.setdefault(group, set()).add(split)
    assert all(len(home) == 1 for home in homes.values())


def test_a_group_of_different_images_is_drawn_as_equal_ones_are() -> None:
    labels, hashes = distinct({"a": 40, "b": 20})
    groups = [number // 2 for number in range(60)]
    equal = [min(hashes[number // 2 * 2 : number // 2 * 2 + 2]) for number in range(60)]
    drawn = draw_missing(["train"] * 60, labels, hashes, groups, PLAN)
    assert drawn == draw_missing(["train"] * 60, labels, equal, equal, PLAN)
    assert set(drawn) == set(PRECEDENCE)


@pytest.mark.parametrize("seed", range(20))
def test_no_group_larger_than_the_share_is_taken_where_others_fit(seed: int) -> None:
    """A burst of 60 images and 40 single ones: the burst stays whole in train, whatever the draw."""
    labels, hashes = distinct({"a": 100})
    groups = [0] * 60 + list(range(1, 41))
    drawn = draw_missing(["train"] * 100, labels, hashes, groups, dataclasses.replace(PLAN, seed=seed))
    assert set(drawn[:60]) == {"train"}
    assert drawn.count("test") == 20


def test_of_groups_larger_than_the_share_the_smallest_is_taken() -> None:
    labels, hashes = distinct({"a": 30})
    groups = [0] * 12 + [1] * 10 + [2] * 8
    drawn = draw_missing(["train"] * 22 + ["val"] * 8, labels, hashes, groups, PLAN)
    assert drawn == ["train"] * 12 + ["test"] * 10 + ["val"] * 8


def test_a_group_whose_labels_differ_stays_in_train() -> None:
    labels, hashes = distinct({"a": 20, "b": 20})
    groups = [number % 20 if number % 20 < 15 else number for number in range(40)]
    drawn = draw_missing(["train"] * 40, labels, hashes, groups, PLAN)
    assert {drawn[number] for number in range(40) if number % 20 < 15} == {"train"}
    assert drawn.count("test") == 8  # a fifth of each class, of the five that have no twin


# --- copies ---------------------------------------------------------------------------------------------------------


@given(images)
def test_copies_are_what_a_search_over_all_pairs_finds(rows: list[tuple[str, str, str]]) -> None:
    _, labels, hashes = columns(rows)
    agreeing = contradicting = 0
    for i, pixels in enumerate(hashes):
        twins = [j for j, other in enumerate(hashes) if other == pixels and j != i]
        if any(labels[j] != labels[i] for j in twins):
            contradicting += 1
        elif twins:
            agreeing += 1
    assert count_duplicates(labels, hashes) == (agreeing, contradicting)
