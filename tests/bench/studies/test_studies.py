"""The studies' own parts: variations of a profile and of a policy, and the cross-validation of copies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.studies import copies
from bench.studies.copies import Images, halved, measure, ways
from bench.studies.profiles import varied
from stages.augment import Params as Augment
from winnow.augmentation.policy import Policy, Step
from winnow.pipeline.params import load_params
from winnow.training.training import Profile

PROFILE = Profile(epochs=1, batch=8, learning_rate=0.0004, schedule="cosine", most_steps=0, precision="float32")
POLICY = Policy(("rotate", "invert"), ((Step("rotate", 1.0, 0.5), Step("invert", 0.5, 1.0)),))


def in_process(function: Callable[..., Any], jobs: list[tuple[Any, ...]], *, steps: int, label: str) -> list[Any]:
    return [function(*job, lambda: None) for job in jobs]


def images() -> Images:
    """Eight dark and eight bright images, half of each for training."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 16)
    pixels = (labels[:, None, None, None] * 128 + rng.integers(0, 100, (32, 16, 16, 1))).astype(np.uint8)
    splits = np.tile(["train", "train", "val", "label_book"], 8)
    return Images(pixels, labels.astype(np.int64), ["a", "b"], splits, [str(number) for number in range(32)])


def test_a_profile_is_varied_in_the_fields_named() -> None:
    assert varied(PROFILE, "") == PROFILE
    assert varied(PROFILE, "learning_rate=0.001,most_steps=9") == replace(PROFILE, learning_rate=0.001, most_steps=9)


@pytest.mark.parametrize("changes", ["rate=1", "epochs=many", "epochs"])
def test_a_variation_that_is_none_is_an_error(changes: str) -> None:
    with pytest.raises(ValueError, match=r"fields|invalid literal"):
        varied(PROFILE, changes)


def test_halving_leaves_inversion_as_it_is() -> None:
    assert halved(POLICY).sub_policies == ((Step("rotate", 1.0, 0.25), Step("invert", 0.5, 1.0)),)


def test_every_image_is_judged_once_a_seed_by_models_of_the_other_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def jobs(function: Callable[..., Any], jobs: list[tuple[Any, ...]], *, steps: int, label: str) -> list[Any]:
        for data, validation, others, *_ in jobs:
            seen = {row.tobytes() for row in (*data.images, *validation.images)}
            assert not seen & {row.tobytes() for row in others.images}
            assert len(data.labels) == 40  # 20 of each of two classes
            asked.append(len(others.labels))
        return in_process(function, jobs, steps=steps, label=label)

    monkeypatch.setattr(copies, "run_jobs", jobs)
    made = ways(POLICY, load_params("augment", Augment))
    two = {name: made[name] for name in ("random", "affine by hand")}
    right = measure(images(), two, PROFILE, budget=40, draw=0, seeds=1)
    assert {name: one.shape for name, one in right.items()} == {"random": (1, 32), "affine by hand": (1, 32)}
    assert sum(asked) == 2 * 32
