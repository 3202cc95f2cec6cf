"""The search finds what was planted, repeats itself, and refuses what it cannot do before it starts."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.refusals import refused_params
from winnow.policy_search import critic
from winnow.policy_search.relaxed_policy import RelaxedPolicy
from winnow.policy_search.search import CURVE, Duel, Settings, search, search_once
from winnow.transforms.operations import to_images

SETTINGS = Settings(
    operations=["translate_x", "translate_y", "rotate", "invert"],
    sub_policies=2,
    stages=1,
    searches=1,
    steps=120,
    batch=8,
    learning_rate=0.01,
    critic_learning_rate=0.001,
    mixture=False,
    reach=0.0,
    variety=0.0,
    classifier_steps=0,
    classifier_batch=16,
)
SIDE = 32


def discs(count: int, shift: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """White sheets with a disc (class 0) or a ring (class 1), moved left or right by a share of the width."""
    images, labels = np.full((count, SIDE, SIDE, 1), 255, np.uint8), rng.integers(0, 2, count)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    for image, label in zip(images, labels, strict=True):
        along = round(shift * SIDE) * rng.choice((-1, 1)) + rng.integers(-1, 2)
        radius = np.hypot(x - along, y - rng.integers(-1, 2))
        image[(radius < 6) & ((radius > 3) | (label == 0))] = 0
    return images, labels.astype(np.int64)


class Planted(Duel):
    """Real images are drawn elsewhere than the ones to augment."""

    def plant(self, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
        self.elsewhere, self.rng = (images, labels), rng

    def draw(self) -> Any:
        rows = self.rng.integers(0, len(self.elsewhere[0]), self.half)
        real = to_images(self.elsewhere[0][rows]), torch.from_numpy(self.elsewhere[1][rows])
        return real, super().draw()[1]


@pytest.mark.parametrize(
    ("side", "steps", "rate"),
    [pytest.param(16, 60, 0.02, id="small"), pytest.param(32, 120, 0.01, id="whole", marks=pytest.mark.campaign)],
)
def test_a_planted_shift_is_found_with_its_size(
    monkeypatch: pytest.MonkeyPatch, side: int, steps: int, rate: float
) -> None:
    """Real images lie 0.25 of the width aside, which is translate_x at 0.25 / 0.45, always done.

    A critic that sees them at half its size learns as well, and four times faster.
    """
    monkeypatch.setattr(critic, "INPUT_SIZE", side)
    found, settings = [], replace(SETTINGS, steps=steps, learning_rate=rate)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        images, labels = discs(200, 0.0, rng)
        generator = torch.Generator().manual_seed(seed)
        duel = Planted(images, labels, 2, np.ones((2, 4), np.float32), settings, generator)
        duel.plant(*discs(200, 0.25, rng), rng)
        for _ in range(settings.steps):
            duel.step()
        found += [steps[0] for steps in duel.policy.policy().sub_policies]
    hits = [step for step in found if step.operation == "translate_x"]
    assert Counter(step.operation for step in found).most_common(1)[0][0] == "translate_x"
    assert len(hits) >= 5  # of 6; a guess gets 1.5
    assert np.median([step.magnitude for step in hits]) == pytest.approx(0.25 / 0.45, abs=0.1)
    assert np.median([step.probability for step in hits]) > 0.9


SMALL = replace(SETTINGS, sub_policies=4, stages=2, searches=2, steps=3, batch=4, classifier_steps=1)


def test_equal_seeds_give_equal_policies_and_others_others() -> None:
    images, labels = discs(20, 0.1, np.random.default_rng(0))
    free = np.ones((2, 4), np.float32)
    policy, curve = search(images, labels, free, SMALL, seed=1)
    again, same = search(images, labels, free, SMALL, seed=1)
    other, _ = search(images, labels, free, SMALL, seed=2)
    assert policy == again
    assert policy != other
    assert np.array_equal(curve, same)
    assert curve.shape == (3, len(CURVE))
    assert np.isfinite(curve).all()
    assert [len(steps) for steps in policy.sub_policies] == [2] * 4
    assert policy.sub_policies[:2] != policy.sub_policies[2:]  # the searches have seeds of their own


def test_without_limits_a_search_is_that_with_limits_that_never_bind() -> None:
    """One stage, so that no earlier one has spent anything."""
    images, labels = discs(20, 0.1, np.random.default_rng(0))
    one_stage = replace(SMALL, stages=1)
    free, _ = search(images, labels, None, one_stage, seed=1)
    assert free == search(images, labels, np.ones((2, 4), np.float32), one_stage, seed=1)[0]


def test_a_class_with_a_limit_of_0_is_never_augmented_in_the_search() -> None:
    images, labels = discs(16, 0.1, np.random.default_rng(0))
    limits = np.ones((2, 4), np.float32)
    limits[1] = 0
    duel = Duel(images, labels, 2, limits, SMALL, torch.Generator().manual_seed(0))
    pixels, classes = to_images(images), torch.from_numpy(labels)
    out = duel.policy(pixels, torch.zeros(16, dtype=torch.long), torch.from_numpy(limits)[classes], duel.generator)
    moved = (out - pixels).abs().amax(dim=(1, 2, 3)) > 1e-5
    assert not moved[classes == 1].any()
    assert moved[classes == 0].any()


@pytest.fixture
def half_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The critic sees images at half the size that it was made for."""
    monkeypatch.setattr(critic, "INPUT_SIZE", 16)


@pytest.mark.usefixtures("half_the_size")
def test_the_reward_for_distance_makes_a_policy_go_further() -> None:
    images, labels = discs(40, 0.1, np.random.default_rng(0))
    settings = replace(SETTINGS, operations=["translate_x"], steps=30, learning_rate=0.02)
    ends = {}
    for reach in (0.0, 0.9):
        policy, _ = search_once(
            images, labels, 2, np.ones((2, 1), np.float32), replace(settings, reach=reach), 0, lambda: None
        )
        ends[reach] = np.mean([steps[0].probability for steps in policy.sub_policies])
    assert ends[0.9] > ends[0.0] + 0.1


@pytest.mark.usefixtures("half_the_size")
def test_the_reward_for_variety_makes_stages_sure_and_different() -> None:
    images, labels = discs(40, 0.1, np.random.default_rng(0))
    settings = replace(SETTINGS, sub_policies=8, steps=60, learning_rate=0.02)
    ends = {}
    for variety in (0.0, 50.0):
        free = np.ones((2, 4), np.float32)
        duel = Duel(images, labels, 2, free, replace(settings, variety=variety), torch.Generator().manual_seed(0))
        for _ in range(settings.steps):
            duel.step()
        ends[variety] = duel.policy.variety().item()
    assert ends[50.0] > ends[0.0] + 0.1
    assert ends[50.0] > 0.9 * np.log(4)


def test_variety_is_that_of_its_definition() -> None:
    policy = RelaxedPolicy(["invert", "rotate", "shear_x"], 2, 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        policy.weight.fill_(0.0)  # every stage an even mixture
    assert policy.variety().item() == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        policy.weight[..., 1] = 9.0  # every stage the same operation
    assert policy.variety().item() == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        policy.weight[0, :, 1], policy.weight[0, :, 0] = 0.0, 9.0  # half the stages each
    assert policy.variety().item() == pytest.approx(np.log(2), abs=1e-5)


def test_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        search(*discs(1, 0.0, np.random.default_rng(0)), np.ones((2, 4), np.float32), SMALL, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operations": ["rotate", "spin"]}, "operations names 'spin', which is unknown"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"sub_policies": 5, "searches": 2}, "multiple of searches"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"critic_learning_rate": float("nan")}, "critic_learning_rate must be finite, got nan"),
        ({"classifier_steps": -1}, "classifier_steps must be at least 0"),
        ({"reach": 1.0}, r"reach must be below 1\.0, got 1\.0"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with refused_params(Settings, message):
        replace(SETTINGS, **changes)
