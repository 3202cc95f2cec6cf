"""Cross-fitted heads: who is valued by which run."""

import numpy as np
import torch

from winnow.influence.head import influence_on_head
from winnow.influence.head_valuation import value_head
from winnow.training.head import HeadProfile, train_head

PROFILE = HeadProfile(epochs=5, batch=8, learning_rate=0.5, momentum=0.9, ridge=1.0)
RNG = np.random.default_rng(0)
LABELS = np.arange(24) % 3
FEATURES = (2 * np.eye(3, 6)[LABELS] + RNG.normal(size=(24, 6))).astype(np.float32)
BOOK, BOOK_LABELS = FEATURES[:4] + 0.1, LABELS[:4]


def test_one_run_gives_exact_influence_on_what_it_learnt_from() -> None:
    members = np.arange(24) % 4 != 1
    ticks: list[None] = []
    valued = value_head(FEATURES, LABELS, BOOK, BOOK_LABELS, members, 3, PROFILE, 7, lambda: ticks.append(None))
    assert len(ticks) == len(valued.curve) == PROFILE.epochs
    rows = torch.from_numpy(np.flatnonzero(members))
    features, labels = torch.from_numpy(FEATURES), torch.from_numpy(LABELS)
    head, run = train_head(features, labels, rows, classes=3, profile=PROFILE, seed=7, record=True)
    expected = influence_on_head(head, run, PROFILE, torch.from_numpy(BOOK), torch.from_numpy(BOOK_LABELS))
    np.testing.assert_array_equal(valued.effect, expected)
    assert not valued.effect[~members].any()


def test_a_wrong_label_harms_the_label_book() -> None:
    labels = LABELS.copy()
    labels[0] = 1  # the label book's first image is nearly this one
    everyone = np.ones(24, dtype=bool)
    effect = value_head(FEATURES, labels, BOOK, BOOK_LABELS, everyone, 3, PROFILE, 7, lambda: None).effect
    assert effect[:, 0].argmin() == 0
