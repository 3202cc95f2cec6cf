"""Draws of a few images of many, against their definitions."""

import hashlib
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.dataset.draws import id_hashes, in_turn, reshuffled, rows_by_class, some_by_hash, some_of

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=40)


def splitmix64(state: int) -> int:
    """The number that its definition gives for a state."""
    mixed = state % 2**64
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
    return mixed ^ (mixed >> 31)


def test_the_mixing_gives_the_first_numbers_that_its_authors_published() -> None:
    """Of the generator seeded with 1234567."""
    states = np.array([1234567], np.uint64)
    assert [int(reshuffled(states, seed)[0]) for seed in (0, 1)] == [6457827717110365317, 3203168211198807973]


@pytest.mark.parametrize("most", [0, 1, 7, 30, 99])
def test_which_images_are_drawn_depends_on_their_ids_alone(most: int) -> None:
    names = [f"{number:03}" for number in range(40)]
    rows = np.arange(0, 40, 2)

    def turn(row: int) -> int:
        digest = hashlib.blake2b(names[row].encode(), digest_size=8).digest()
        return splitmix64(int.from_bytes(digest, sys.byteorder) + 6 * 0x9E3779B97F4A7C15)

    some = some_by_hash(rows, id_hashes(pa.chunked_array([names[:9], names[9:]])), most, 5)
    assert some.tolist() == sorted(sorted(rows.tolist(), key=turn)[: most or None])


def test_datasets_that_have_most_images_in_common_share_most_of_a_draw() -> None:
    hashes, rows = id_hashes(pa.chunked_array([[f"{number:04}" for number in range(1_000)]])), np.arange(900)
    one = some_by_hash(rows, hashes[:900], 300, 0)
    other = some_by_hash(rows, hashes[100:], 300, 0) + 100
    assert len(set(one.tolist()) & set(other.tolist())) > 240  # about 300 x 8/9
    again = some_by_hash(rows, hashes[:900], 300, 1)
    assert len(set(one.tolist()) & set(again.tolist())) < 150  # about 300 x 1/3


@given(labels=LABELS, count=st.integers(1, 50))
def test_classes_take_turns(labels: list[int], count: int) -> None:
    given_labels = np.array(labels)
    rows = in_turn(given_labels, count, np.random.default_rng(0))
    assert np.array_equal(rows, np.unique(rows))
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(np.flatnonzero(given_labels == one)).tolist() for one in np.unique(given_labels)]
    turns = [row for turn in range(40) for own in shuffled for row in own[turn : turn + 1]]
    assert rows.tolist() == sorted(turns[:count])


@given(labels=LABELS)
def test_the_rows_of_each_class_are_found_in_one_pass(labels: list[int]) -> None:
    given_labels = np.array(labels)
    found = [rows.tolist() for rows in rows_by_class(given_labels)]
    assert found == [np.flatnonzero(given_labels == label).tolist() for label in np.unique(given_labels)]


def test_no_images_have_no_classes() -> None:
    assert rows_by_class(np.zeros(0, np.int64)) == []
    assert in_turn(np.zeros(0, np.int64), 3, np.random.default_rng(0)).tolist() == []


@pytest.mark.parametrize(("most", "left"), [(0, 9), (9, 9), (20, 9), (4, 4)])
def test_some_rows_are_drawn_where_there_are_more(most: int, left: int) -> None:
    rows = np.arange(10, 100, 10)
    some = some_of(rows, most, seed=1)
    assert len(some) == left
    assert np.array_equal(some, np.unique(some))
    assert set(some.tolist()) <= set(rows.tolist())
    assert np.array_equal(some, some_of(rows, most, seed=1))
