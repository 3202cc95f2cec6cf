"""Cross-fitted heads: who is valued by which run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.influence import feature_data, valued_by_head
from winnow.influence.head import BookFeatures, influence_on_head
from winnow.influence.head_valuation import value_head
from winnow.training.head import HeadProfile, train_head

PROFILE = HeadProfile(epochs=5, most_steps=0, batch=8, learning_rate=0.5, momentum=0.9, ridge=1.0)
RNG = np.random.default_rng(0)
LABELS = np.arange(24) % 3
FEATURES = (2 * np.eye(3, 6)[LABELS] + RNG.normal(size=(24, 6))).astype(np.float32)
BOOK, BOOK_LABELS = FEATURES[:4] + 0.1, LABELS[:4]


def test_one_run_gives_exact_influence_on_what_it_learnt_from(tmp_path: Path) -> None:
    members = np.arange(24) % 4 != 1
    ticks: list[None] = []
    data = feature_data(FEATURES, LABELS, BOOK, BOOK_LABELS, 3)
    into = tmp_path / "part.npy"
    curve = value_head(data, members, PROFILE, 7, True, into, lambda: ticks.append(None))
    assert len(ticks) == len(curve) == PROFILE.epochs
    rows = torch.from_numpy(np.flatnonzero(members))
    features, labels = torch.from_numpy(FEATURES), torch.from_numpy(LABELS)
    head, run = train_head(features, labels, rows, classes=3, profile=PROFILE, seed=7, record=True)
    book = BookFeatures(torch.from_numpy(BOOK), torch.from_numpy(BOOK_LABELS), data.columns)
    np.testing.assert_array_equal(np.load(into), influence_on_head(head, run, PROFILE, book)[members])


@pytest.mark.parametrize("exact", [True, False])
def test_a_wrong_label_harms_the_label_book(exact: bool, tmp_path: Path) -> None:
    labels = LABELS.copy()
    labels[0] = 1  # the label book's first image is nearly this one
    everyone = np.ones(24, dtype=bool)
    given = (FEATURES, labels, BOOK, BOOK_LABELS, everyone, 3, PROFILE, 7, tmp_path / "part.npy")
    assert valued_by_head(*given, exact=exact)[:, 0].argmin() == 0
