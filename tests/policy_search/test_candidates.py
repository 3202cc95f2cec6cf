"""Candidates: how far their operations reach, and the policies that they make."""

import dataclasses
from typing import Any

import pytest

from tests.support.refusals import refused_params
from winnow.augmentation.policy import Policy, Step
from winnow.pipeline.params import load_params
from winnow.policy_search.candidates import Candidate, policies_of, policy_of, strength
from winnow.transforms.geometry import ROTATE_DEGREES, SHEAR, TRANSLATE
from winnow.transforms.views import Ranges

OFFERED = ["rotate", "translate_x", "gaussian_noise", "brightness", "invert", "flip_x"]
LIMITS = {
    "rotate": {"a": 1.0, "b": 0.5},
    "translate_x": {"a": 0.25, "b": 0.5},
    "gaussian_noise": {"a": 0.0, "b": 0.0},
    "invert": {"a": 1.0, "b": 1.0},
    "flip_x": {"a": 1.0, "b": 0.0},
}
HALF = Candidate(geometry=0.5, appearance=0.25, own={}, stages=2, chained=3)


def changed(**values: Any) -> Candidate:
    return dataclasses.replace(HALF, **values)


def made(candidate: Candidate, operations: list[str] = OFFERED, *, sub_policies: int = 200, seed: int = 0) -> Policy:
    policy = policy_of(candidate, operations, LIMITS, sub_policies=sub_policies, seed=seed)
    assert policy is not None
    return policy


def magnitudes(policy: Policy, operation: str) -> list[float]:
    return [step.magnitude for steps in policy.sub_policies for step in steps if step.operation == operation]


def test_operations_reach_a_share_of_the_largest_limit_and_an_own_one_of_the_whole_range() -> None:
    assert HALF.reach("rotate", 1.0) == 0.5
    assert HALF.reach("rotate", 0.5) == 0.25
    assert HALF.reach("flip_x", 1.0) == 0.5  # moves pixels, too
    assert HALF.reach("gaussian_noise", 0.8) == 0.2
    own = changed(own={"rotate": 0.3})
    assert own.reach("rotate", 0.5) == 0.3
    assert own.reach("rotate", 0.25) == 0.25  # never beyond what labels survive
    assert own.reach("translate_x", 0.5) == 0.25


def test_magnitudes_are_uniform_up_to_the_reach() -> None:
    policy = made(HALF)
    for operation, reach in {"rotate": 0.5, "translate_x": 0.25, "brightness": 0.25}.items():
        found = magnitudes(policy, operation)
        assert 0 < min(found) < 0.1 * reach
        assert 0.9 * reach < max(found) <= reach
        assert sum(found) / len(found) == pytest.approx(reach / 2, rel=0.15)
    assert magnitudes(policy, "gaussian_noise") == []  # no label survives it
    assert (policy.chained, policy.limits, policy.operations) == (3, LIMITS, tuple(OFFERED))


def test_a_sub_policy_has_each_operation_at_most_once_and_none_with_a_look_of_its_own() -> None:
    for stages, length in ((1, 1), (3, 3), (0, 4), (9, 4)):  # rotate, translate_x, brightness and flip_x
        drawn = [[step.operation for step in steps] for steps in made(changed(stages=stages)).sub_policies]
        assert {len(names) for names in drawn} == {length}
        assert all(len(set(names)) == length for names in drawn)
        assert {name for names in drawn for name in names} == {"rotate", "translate_x", "brightness", "flip_x"}


def test_every_stage_is_carried_out_but_a_flip_half_of_the_time() -> None:
    probabilities = {step.operation: step.probability for steps in made(HALF).sub_policies for step in steps}
    assert probabilities.pop("flip_x") == 0.5
    assert set(probabilities.values()) == {1.0}


def test_equal_settings_give_equal_policies_and_another_seed_another() -> None:
    assert made(HALF) == made(dataclasses.replace(HALF)) != made(HALF, seed=1)


def test_what_changes_nothing_is_no_candidate_and_of_equal_ones_the_first_is() -> None:
    still = changed(geometry=0.0, appearance=0.0)
    assert policy_of(still, OFFERED, LIMITS, sub_policies=3, seed=0) is None
    assert policy_of(HALF, ["gaussian_noise", "invert"], LIMITS, sub_policies=3, seed=0) is None
    given = {"still": still, "half": HALF, "without noise": changed(appearance=0.0), "full": changed(geometry=1.0)}
    found = policies_of(given, ["rotate", "gaussian_noise"], LIMITS, sub_policies=3, seed=0)
    assert list(found) == ["half", "full"]  # noise survives nowhere, so that it makes no difference
    assert found["half"] == made(HALF, ["rotate", "gaussian_noise"], sub_policies=3)


def test_strength_is_the_mean_sum_of_magnitudes_each_as_often_as_it_is_done() -> None:
    policy = Policy(
        ("rotate", "flip_x"), ((Step("rotate", 1.0, 0.4), Step("flip_x", 0.5, 1.0)), (Step("rotate", 0.5, 0.2),))
    )
    assert strength(policy) == pytest.approx((0.4 + 0.5 + 0.1) / 2)
    order = [changed(geometry=0.25, appearance=0.1), HALF, changed(geometry=1.0, appearance=0.5)]
    strengths = [strength(made(one)) for one in order]
    assert strengths == sorted(strengths)


def test_the_affine_chosen_by_hand_is_a_candidate() -> None:
    affine = load_params("search_policy.candidates", dict[str, Candidate])["affine"]
    ranges = load_params("augment.affine", Ranges)
    assert affine.stages == 0
    assert affine.chained == 1
    assert affine.reach("rotate", 1.0) * ROTATE_DEGREES == pytest.approx(ranges.rotate_degrees, rel=0.02)
    assert affine.reach("shear_x", 1.0) * SHEAR == pytest.approx(ranges.shear, rel=0.02)
    for name in ("translate_x", "translate_y"):
        assert affine.reach(name, 1.0) * TRANSLATE == pytest.approx(ranges.shift, rel=0.02)
    assert affine.reach("gaussian_noise", 1.0) == affine.reach("shear_y", 1.0) == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("own", {"wobble": 0.5}, "own names 'wobble', which is unknown"),
        ("own", {"rotate": 1.5}, "own.rotate must be at most 1.0, got 1.5"),
        ("geometry", 1.5, "geometry must be at most 1.0, got 1.5"),
        ("chained", 0, "chained must be at least 1, got 0"),
    ],
)
def test_a_setting_out_of_its_bounds_is_refused(field: str, value: Any, message: str) -> None:
    with refused_params(Candidate, message):
        changed(**{field: value})
