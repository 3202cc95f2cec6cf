"""Folds: even over classes, none empty, and equal images together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.folds import deal_folds


def different(count: int) -> list[str]:
    return [f"pixels {number}" for number in range(count)]


def test_every_class_is_spread_evenly() -> None:
    labels = np.array([0] * 10 + [1] * 7 + [2])
    folds = deal_folds(labels, different(18), folds=3, rng=np.random.default_rng(0))
    for label, counts in ((0, [3, 3, 4]), (1, [2, 2, 3]), (2, [0, 0, 1])):
        assert sorted(np.bincount(folds[labels == label], minlength=3)) == counts


@pytest.mark.parametrize(("classes", "each", "folds"), [(4, 2, 4), (10, 2, 4), (3, 1, 3), (1, 5, 5)])
def test_no_fold_is_empty_while_there_are_images_enough(classes: int, each: int, folds: int) -> None:
    labels = np.repeat(np.arange(classes), each)
    for seed in range(200):
        dealt = deal_folds(labels, different(len(labels)), folds=folds, rng=np.random.default_rng(seed))
        assert set(dealt) == set(range(folds))


@given(images=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=1), seed=st.integers(0, 9))
def test_equal_images_share_a_fold_whatever_their_labels(images: list[tuple[int, int]], seed: int) -> None:
    labels, hashes = np.array([label for label, _ in images]), [str(pixels) for _, pixels in images]
    folds = deal_folds(labels, hashes, folds=3, rng=np.random.default_rng(seed))
    by_hash = {name: {int(fold) for fold, own in zip(folds, hashes, strict=True) if own == name} for name in hashes}
    assert all(len(found) == 1 for found in by_hash.values())
    assert len(set(folds.tolist())) == min(3, len(by_hash))  # no fold is empty while there are images enough


def test_a_class_filed_twice_is_dealt_as_if_once() -> None:
    labels = np.array([0] * 9 + [1] * 6)
    once = deal_folds(labels, different(15), folds=3, rng=np.random.default_rng(1))
    assert sorted(np.bincount(once[:9])) == [3, 3, 3]
    twice = deal_folds(np.repeat(labels, 2), [*np.repeat(different(15), 2)], folds=3, rng=np.random.default_rng(1))
    assert sorted(np.bincount(twice[:18])) == [6, 6, 6]
    assert (twice[::2] == twice[1::2]).all()
