"""The label check by the ensemble: who judges whom, and what drawn numerals survive, whose truth is known.

Half the working size tells the numerals apart as well, and is four times faster. The campaign judges them whole.
"""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.policy_search.test_label_check import CHECK as OWN
from tests.policy_search.test_label_check import numerals
from tests.support.stages import jobs_here
from winnow.policy_search import ensemble_check
from winnow.policy_search.ensemble_check import find_limits_by_ensemble
from winnow.policy_search.label_check import LabelCheck
from winnow.representation.classifier import train_classifier
from winnow.representation.network import Encoder, Training
from winnow.transforms.operations import OPERATIONS
from winnow.transforms.views import PairViews

CHECK = dataclasses.replace(OWN, by="ensemble")
# The views of params.yaml, on batches small enough for as many updates from a few images.
TRAINING = Training(
    epochs=30,
    most_steps=0,
    batch=8,
    learning_rate=0.003,
    weight_decay=0.01,
    views=PairViews(shear=0.2, invert=0.2, shift=0.1, rotate_degrees=15.0, zoom=0.15, noise=0.1),
)


@pytest.fixture(autouse=True)
def without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble_check, "run_jobs", jobs_here)


@pytest.fixture(params=[2, pytest.param(1, marks=pytest.mark.campaign)])
def every(request: pytest.FixtureRequest) -> int:
    """Of the rows and columns of an image, each so many is kept."""
    return int(request.param)


def always(answer: int, classes: int) -> dict[str, Tensor]:
    """A network that takes every image for one class."""
    state = Encoder(classes, torch.Generator()).state_dict()
    state["head.weight"] = torch.zeros_like(state["head.weight"])
    state["head.bias"] = torch.eye(classes)[answer]
    return state


def check_by_ensemble(
    images: np.ndarray, labels: np.ndarray, classes: list[str], operations: list[str], **changes: Any
) -> LabelCheck:
    """The check of images by two networks, each trained on the other half of them."""
    folds = np.arange(len(labels)) % 2
    training = dataclasses.replace(TRAINING, **changes)
    states = [
        train_classifier(images, labels, folds != fold, training, len(classes), fold, lambda: None) for fold in (0, 1)
    ]
    return find_limits_by_ensemble(images, labels, classes, operations, CHECK, folds=folds, states=states, seed=0)


def test_an_image_is_judged_by_the_network_that_left_its_fold_out() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    folds = np.arange(40) % 2
    states = [always(0, 3), always(1, 3)]
    for labels, recognised in ((folds, 1.0), (1 - folds, 0.0)):
        found = find_limits_by_ensemble(
            images, labels, ["a", "b", "c"], ["rotate", "invert"], CHECK, folds=folds, states=states, seed=0
        )
        by_class = {row["class"]: row["untouched"] for row in found.report}
        assert by_class == {"a": recognised, "b": recognised, "c": None}
        assert {row["recognised"] for row in found.report if row["class"] != "c"} == {recognised}
        assert {row["images"] for row in found.report} == {20, 0}


def test_no_more_images_of_a_class_are_judged_than_asked_for() -> None:
    images = np.zeros((30, 16, 16, 1), np.uint8)
    labels = np.repeat([0, 1], [24, 6])
    few = dataclasses.replace(CHECK, images_per_class=10)
    folds = np.zeros(30, np.int64)  # of the other fold there is no image
    found = find_limits_by_ensemble(
        images, labels, ["a", "b"], list(OPERATIONS), few, folds=folds, states=[always(0, 2)] * 2, seed=0
    )
    assert {(row["class"], row["images"]) for row in found.report} == {("a", 10), ("b", 6)}
    assert set(found.limits) == set(OPERATIONS)


def test_drawn_numerals_are_cut_where_an_operation_ruins_them(every: int) -> None:
    classes = ["i", "ii", "iv", "v", "vi", "x"]
    images, labels = numerals(classes, 50)
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = images[order, ::every, ::every], labels[order]
    found = check_by_ensemble(images, labels, classes, ["shear_x", "rotate", "translate_x", "flip_x", "invert"])
    whole = dict.fromkeys(classes, 1.0)
    assert (found.limits["shear_x"], found.limits["invert"]) == (whole, whole)
    assert min(found.limits["rotate"].values()) >= 0.5  # 15 degrees
    assert max(found.limits["translate_x"][name] for name in ("iv", "vi")) < 1  # pushed off the page by half
    assert found.limits["flip_x"] == {**whole, "iv": 0.0, "vi": 0.0}
    mirrored = {r["class"]: r["more_often_taken_for"] for r in found.report if r["operation"] == "flip_x"}
    assert (mirrored["iv"], mirrored["vi"]) == ("vi", "iv")


def test_inversion_is_refused_where_it_makes_one_class_another(every: int) -> None:
    """The networks, a fifth of whose views are inverted, cannot but take some for the other class untouched."""
    images, _ = numerals(["i", "v"], 50)
    images = np.concatenate([images, 255 - images])[:, ::every, ::every]  # the classes differ in ink and paper alone
    labels = np.repeat([0, 1], 100)
    order = np.random.default_rng(0).permutation(len(labels))
    found = check_by_ensemble(images[order], labels[order], ["black", "white"], ["invert"], epochs=10)
    assert found.limits == {"invert": {"black": 0.0, "white": 0.0}}
    untouched: list[Any] = [row["untouched"] for row in found.report]
    assert min(untouched) >= 0.9  # so that it is inversion that is refused


def test_equal_arguments_give_an_equal_check() -> None:
    images, labels = numerals(["i", "x"], 10)
    state = Encoder(2, torch.Generator().manual_seed(3)).state_dict()
    folds = np.zeros(20, np.int64)

    def check(seed: int) -> LabelCheck:
        return find_limits_by_ensemble(
            images, labels, ["i", "x"], ["gaussian_noise", "rotate"], CHECK, folds=folds, states=[state], seed=seed
        )

    assert check(0) == check(0)
