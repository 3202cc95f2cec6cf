"""The parts of fair controls against their definitions."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from winnow.augmentation.controls import (
    choose_plain_parents,
    is_inverted,
    lowest_scored,
    random_policy,
    without_inversion,
)
from winnow.augmentation.policy import Policy, Step
from winnow.dataset.samples import LEAST
from winnow.transforms.operations import Applied

Places = list[tuple[str, str]]


@settings(max_examples=80)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 30), st.integers(0, 999))
def test_the_lowest_go_and_a_class_keeps_its_last(qualities: list[int], count: int, seed: int) -> None:
    """One after another, the worst of those whose class has more than its least; few values, so that many tie."""
    rng = np.random.default_rng(seed)
    ids = [f"{number:04x}" for number in rng.permutation(len(qualities))]
    places: Places = [(str(rng.choice(["train", "val"])), str(rng.choice(["i", "ii"]))) for _ in ids]
    left = set(range(len(ids)))
    for _ in range(count):
        free = [row for row in left if sum(places[other] == places[row] for other in left) > LEAST[places[row][0]]]
        if free:
            left.remove(min(free, key=lambda row: (qualities[row], ids[row])))
    dropped = lowest_scored(ids, np.array(qualities, dtype=float), places, count=count)
    assert set(np.flatnonzero(~dropped).tolist()) == left


STEPS = tuple((Step("rotate", 0.1 * n, 0.9), Step("shear_x", 1 - 0.1 * n, 0.2)) for n in range(10))
FOUND = Policy(("rotate", "shear_x", "invert", "cutout"), (*STEPS[:9], STEPS[9][:1]), {"invert": {"i": 0.0, "v": 0.0}})


def test_a_random_policy_has_the_structure_of_the_found_one() -> None:
    policy = random_policy(FOUND, np.random.default_rng(0))
    assert (policy.operations, policy.limits) == (FOUND.operations, FOUND.limits)
    assert [[step.probability for step in steps] for steps in policy.sub_policies] == [
        [step.probability for step in steps] for steps in FOUND.sub_policies
    ]
    assert random_policy(FOUND, np.random.default_rng(0)) == policy != random_policy(FOUND, np.random.default_rng(1))


def test_its_operations_and_magnitudes_are_uniform_among_what_a_label_survives() -> None:
    policy = random_policy(Policy(FOUND.operations, FOUND.sub_policies * 200, FOUND.limits), np.random.default_rng(0))
    steps = [step for steps in policy.sub_policies for step in steps]
    counts = Counter(step.operation for step in steps)
    assert set(counts) == {"rotate", "shear_x", "cutout"}  # no class survives inversion: the search had not offered it
    assert chisquare(list(counts.values())).pvalue > 0.01
    assert kstest([step.magnitude for step in steps], "uniform").pvalue > 0.01


def test_its_magnitudes_are_cut_to_the_limits_as_the_searched_ones_are() -> None:
    limits = {"rotate": {"i": 0.25, "v": 0.5}, "invert": {"i": 0.0, "v": 1.0}}
    policy = random_policy(Policy(FOUND.operations, FOUND.sub_policies * 20, limits), np.random.default_rng(0))
    most = {
        name: max(step.magnitude for steps in policy.sub_policies for step in steps if step.operation == name)
        for name in FOUND.operations
    }
    assert most["rotate"] == 0.5
    assert min(most["shear_x"], most["invert"], most["cutout"]) > 0.9


def test_without_limits_every_offered_operation_is_drawn() -> None:
    policy = random_policy(Policy(FOUND.operations, FOUND.sub_policies * 20), np.random.default_rng(0))
    assert {step.operation for steps in policy.sub_policies for step in steps} == set(FOUND.operations)


@settings(max_examples=80)
@given(st.lists(st.integers(0, 2), max_size=30), st.integers(0, 200), st.integers(0, 99))
def test_every_image_is_a_plain_parent_equally_often_or_once_more(labels: list[int], wanted: int, seed: int) -> None:
    classes, rng = np.array([0, 1, 2, *labels]), np.random.default_rng(seed)
    copies = np.array([wanted, wanted // 3, 0])
    times = np.bincount(choose_plain_parents(classes, copies=copies, rng=rng), minlength=len(classes))
    for label, count in enumerate(copies.tolist()):
        assert times[classes == label].sum() == count
        assert np.ptp(times[classes == label]) <= 1
    room = rng.integers(0, 9, len(classes))
    chosen = choose_plain_parents(classes, copies=copies, rng=rng, room=room)
    assert (np.bincount(chosen, minlength=len(classes)) <= room).all()
    fits = np.minimum(copies, [room[classes == label].sum() for label in range(3)])
    assert np.bincount(classes[chosen], minlength=3).tolist() == fits.tolist()


def test_who_is_once_more_a_plain_parent_is_drawn() -> None:
    one, other = (
        choose_plain_parents(np.zeros(50, np.int64), copies=np.array([25]), rng=np.random.default_rng(seed))
        for seed in (0, 1)
    )
    assert len(set(one.tolist())) == len(set(other.tolist())) == 25
    assert set(one.tolist()) != set(other.tolist())


@pytest.mark.parametrize("names", [["invert"], ["rotate", "invert"], ["invert", "rotate", "invert", "invert"]])
def test_an_odd_number_of_inversions_is_one(names: list[str]) -> None:
    steps = [Applied(name, 0.5) for name in names]
    assert is_inverted(steps)
    assert not is_inverted([*steps, Applied("invert", 1.0)])
    assert without_inversion(steps) == [Applied("rotate", 0.5)] * names.count("rotate")
