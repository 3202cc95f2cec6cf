"""Out of fold with a backbone: neighbours outside one's own group, and heads that never saw the image."""

import dataclasses
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from tests.support.backbones import card_of
from tests.support.profiles import HEAD
from tests.support.stages import jobs_here
from winnow.representation import heads
from winnow.representation import out_of_fold as module
from winnow.representation.contrast import unit_features
from winnow.representation.heads import embedding, head_of, neighbours_in_features, out_of_fold, train_head_state
from winnow.representation.out_of_fold import NO_FOLD
from winnow.training.head import train_head

RNG = np.random.default_rng(0)
LABELS = np.arange(30) % 3
FEATURES = (2 * np.eye(3, 8)[LABELS] + RNG.normal(size=(30, 8))).astype(np.float32)
FOLDS = np.where(np.arange(30) < 26, np.arange(30) % 2, NO_FOLD)
CARD = dataclasses.replace(card_of("timm:resnet18"), frozen=True)


def test_a_state_is_the_head_that_it_was_trained_as() -> None:
    members = FOLDS != 0
    ticks: list[None] = []
    state = train_head_state(FEATURES, LABELS, members, HEAD, 3, 5, lambda: ticks.append(None))
    rows = torch.from_numpy(np.flatnonzero(members))
    head, _ = train_head(torch.from_numpy(FEATURES), torch.from_numpy(LABELS), rows, classes=3, profile=HEAD, seed=5)
    np.testing.assert_array_equal(head_of(state).probabilities(FEATURES), head.probabilities(FEATURES))
    assert len(ticks) == HEAD.epochs


@pytest.mark.parametrize("values", [10_000, 1])
@pytest.mark.parametrize("together", [64, 2])
def test_neighbours_are_the_nearest_source_images_outside_the_group(
    monkeypatch: pytest.MonkeyPatch, together: int, values: int
) -> None:
    monkeypatch.setattr(heads, "TOGETHER", together)  # so that the group of six is a large one
    monkeypatch.setattr(heads, "VALUES", values)
    unit = unit_features(FEATURES)
    roots = np.where(np.arange(30) < 27, np.arange(30), 0)  # the last three are copies of the first
    groups = np.arange(30)
    groups[[1, 2, 3, 4, 5, 27, 28, 29]] = 0
    near = neighbours_in_features(unit, roots, groups, k=4)
    assert near.index.shape == (1, 30, 4)
    for i in range(30):
        others = [j for j in range(27) if groups[j] != groups[i]]
        expected = sorted(others, key=lambda j: np.linalg.norm(unit[i] - unit[j]))[:4]
        assert near.index[0, i].tolist() == expected
        np.testing.assert_allclose(
            near.distance[0, i], [np.linalg.norm(unit[i] - unit[j]) for j in expected], atol=1e-5
        )


def test_probabilities_are_those_of_the_head_that_left_the_fold_out() -> None:
    states = [
        train_head_state(FEATURES, LABELS, np.isin(FOLDS, 1 - fold) | (FOLDS < 0), HEAD, 3, fold, lambda: None)
        for fold in (0, 1)
    ]
    with mock.patch.object(module, "run_jobs", jobs_here):
        found = out_of_fold(FEATURES, LABELS, np.arange(30), FOLDS[None], [states], CARD, Path("none"))
    for i in range(30):
        judge = head_of(states[max(0, FOLDS[i])])  # the label book, in no fold, is judged by the first
        np.testing.assert_allclose(found[i], judge.probabilities(FEATURES[i : i + 1])[0], rtol=1e-5)


def test_a_class_that_was_not_trained_on_is_unknown() -> None:
    members = (FOLDS != 0) & (LABELS != 2)
    state = train_head_state(FEATURES, LABELS, members, HEAD, 3, 0, lambda: None)
    folds = np.where(LABELS == 2, 0, FOLDS)  # so that no image of it is outside fold 0
    with mock.patch.object(module, "run_jobs", jobs_here):
        found = out_of_fold(FEATURES, LABELS, np.arange(30), folds[None], [[state]], CARD, Path("none"))
    assert np.isnan(found[folds == 0][:, 2]).all()
    assert np.isfinite(found[folds == 0][:, :2]).all()


def test_what_a_classifier_learned_from_says_which_classes_it_knows() -> None:
    state = train_head_state(FEATURES, LABELS, FOLDS != 0, HEAD, 3, 0, lambda: None)
    folds = np.where(LABELS == 2, NO_FOLD, FOLDS)  # class 2 is in the label book alone
    folds[(LABELS == 2) & (np.arange(30) < 9)] = 0
    rows = np.arange(30)

    def known(taught: np.ndarray | None = None) -> bool:
        with mock.patch.object(module, "run_jobs", jobs_here):
            found = out_of_fold(FEATURES, LABELS, rows, folds[None], [[state]], CARD, Path("none"), taught)
        return bool(np.isfinite(found[folds == 0][:, 2]).all())

    assert known()
    assert not known(folds != NO_FOLD)  # as whole networks do: the label book chooses their epoch
    assert not known(LABELS != 2)  # as in a later round, where all of it was dropped


def test_the_embedding_keeps_most_of_the_spread_in_unit_rows() -> None:
    points = embedding(FEATURES)
    assert points.shape == (30, 8)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)
    centred = FEATURES - FEATURES.mean(axis=0)
    cosine = centred @ centred.T / np.outer(*[np.linalg.norm(centred, axis=1)] * 2)
    np.testing.assert_allclose(
        points @ points.T, cosine, atol=1e-4
    )  # of as many components as features, nothing is lost
