"""What a group says of its images' labels, and its single vote, against plain loops over all pairs."""

import math
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from winnow.dataset.groups import group_agreement, group_numbers, one_vote_each

members = st.lists(st.tuples(st.sampled_from("pqrstu"), st.integers(0, 2)), max_size=30)


def test_groups_are_counted_in_the_order_of_their_first_images() -> None:
    assert group_numbers(["x", "b", "x", "a"]).tolist() == [0, 1, 0, 2]


@given(members)
def test_agreement_is_the_share_of_the_others_with_the_same_label(rows: list[tuple[str, int]]) -> None:
    found = group_agreement([name for name, _ in rows], np.array([label for _, label in rows], np.int64))
    for number, (name, label) in enumerate(rows):
        others = [other for place, (same, other) in enumerate(rows) if same == name and place != number]
        if others:
            assert found[number] == sum(other == label for other in others) / len(others)
        else:
            assert math.isnan(found[number])


@given(members.filter(len), st.integers(1, 6), st.integers(0, 9))
def test_every_group_among_the_neighbours_has_one_vote(rows: list[tuple[str, int]], k: int, seed: int) -> None:
    groups = [name for name, _ in rows]
    neighbours = np.random.default_rng(seed).integers(len(rows), size=(4, k))
    with mock.patch("winnow.dataset.groups.BLOCK", 3):  # images at once
        weights = one_vote_each(groups, neighbours)
    for near, votes in zip(neighbours.tolist(), weights.tolist(), strict=True):
        for name in {groups[row] for row in near}:
            cast = [vote for row, vote in zip(near, votes, strict=True) if groups[row] == name]
            assert len(set(cast)) == 1
            assert math.isclose(sum(cast), 1)
