"""Exact influence on a head against central differences of retraining, and what it is for an image left out."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from winnow.influence import head as head_module
from winnow.influence.columns import book_columns
from winnow.influence.head import BookFeatures, influence_on_head
from winnow.training.head import Head, HeadProfile, train_head

STEP = 1e-4


def setting(
    momentum: float, ridge: float
) -> tuple[HeadProfile, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(14, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (14,), generator=generator)
    book = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    book_labels = torch.randint(0, 3, (4,), generator=generator)
    profile = HeadProfile(epochs=3, most_steps=0, batch=5, learning_rate=0.8, momentum=momentum, ridge=ridge)
    return profile, features, labels, book, book_labels


def book_of(book: torch.Tensor, labels: torch.Tensor, *, by_class: bool = False) -> BookFeatures:
    return BookFeatures(book, labels, book_columns(["p", "q", "r", "s"], labels.numpy(), "xyz", by_class=by_class))


def losses(head: Head, book: torch.Tensor, book_labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(head(book), book_labels, reduction="none").detach()


@pytest.mark.parametrize(("momentum", "ridge"), [(0.0, 0.0), (0.9, 0.0), (0.0, 2.0), (0.9, 2.0)])
def test_it_is_the_derivative_of_retraining(momentum: float, ridge: float) -> None:
    profile, features, labels, book, book_labels = setting(momentum, ridge)
    members = torch.tensor([0, 1, 2, 3, 5, 6, 7, 8, 9, 11, 12, 13])
    head, run = train_head(features, labels, members, classes=3, profile=profile, seed=1, record=True)
    effect = influence_on_head(head, run, profile, book_of(book, book_labels))
    for i in range(14):
        changed = []
        for sign in (1, -1):
            weights = torch.ones(14, dtype=torch.float64)
            weights[i] += sign * STEP
            other, _ = train_head(features, labels, members, classes=3, profile=profile, seed=1, weights=weights)
            changed.append(losses(other, book, book_labels))
        # Removing the image takes its weight of 1 away: to first order, minus the derivative by its weight.
        expected = -(changed[0] - changed[1]) / (2 * STEP)
        np.testing.assert_allclose(effect[i], expected, atol=1e-8)
    assert not effect[[4, 10]].any()
    assert effect.any()


def test_the_effect_on_a_class_is_the_mean_of_those_on_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    profile, features, labels, book, _ = setting(0.9, 2.0)
    book_labels = torch.tensor([2, 0, 2, 2])
    head, run = train_head(features, labels, torch.arange(14), classes=3, profile=profile, seed=1, record=True)
    single = influence_on_head(head, run, profile, book_of(book, book_labels))
    expected = np.stack([single[:, 1], single[:, [0, 2, 3]].mean(axis=1)], axis=1)
    for values in (2**24, 18, 1):  # the weights are 18: all columns at once, or one at a time
        monkeypatch.setattr(head_module, "BLOCK_VALUES", values)
        effect = influence_on_head(head, run, profile, book_of(book, book_labels, by_class=True))
        assert effect.dtype == np.float32
        np.testing.assert_allclose(effect, expected, rtol=1e-5)
        np.testing.assert_allclose(influence_on_head(head, run, profile, book_of(book, book_labels)), single, rtol=1e-9)
