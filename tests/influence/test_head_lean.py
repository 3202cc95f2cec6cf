"""Lean influence on a head against HyDRA's vector form without curvature, one head-sized vector an image."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.support.reference_hydra import hypergradients
from winnow.influence import head_lean
from winnow.influence.columns import book_columns
from winnow.influence.head import BookFeatures
from winnow.influence.head_lean import Moved, lean_influence_on_head
from winnow.influence.trajectory import Sgd
from winnow.training.head import HeadProfile, train_head


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize(("momentum", "ridge"), [(0.0, 0.0), (0.9, 2.0)])
def test_it_equals_the_vector_form(
    momentum: float, ridge: float, by_class: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_lean, "ROWS", 5)
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(14, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (14,), generator=generator)
    book, book_labels = torch.randn(4, 5, generator=generator, dtype=torch.float64), torch.tensor([2, 0, 2, 2])
    members = torch.tensor([0, 2, 3, 5, 6, 7, 8, 9, 11, 12, 13])
    profile = HeadProfile(
        epochs=9, most_steps=7, batch=5, learning_rate=0.8, momentum=momentum, ridge=ridge
    )  # two epochs of 3
    columns = book_columns(["p", "q", "r", "s"], book_labels.numpy(), "xyz", by_class=by_class)
    moved = Moved(members, profile, 3, features)
    batches: list[list[int]] = []

    def after_update(batch: torch.Tensor, residual: torch.Tensor) -> None:
        batches.append(batch.tolist())
        moved.add(batch, residual)

    head, _ = train_head(features, labels, members, classes=3, profile=profile, seed=1, after_update=after_update)
    effect = lean_influence_on_head(head, features, members, moved, BookFeatures(book, book_labels, columns))

    inputs, at_book = head.inputs(features), head.inputs(book)
    sgd = Sgd(0.8, momentum, 0.0, ridge / 11, nesterov=False, cosine=True)
    rates = [0.8 * (1 + math.cos(math.pi * step / 6)) / 2 for step in range(6)]

    def loss(weights: torch.Tensor, i: int) -> torch.Tensor:
        return functional.cross_entropy(inputs[i : i + 1] @ weights.view(3, 6).T, labels[i : i + 1])

    def book_loss(weights: torch.Tensor, j: int) -> torch.Tensor:
        return functional.cross_entropy(at_book[j : j + 1] @ weights.view(3, 6).T, book_labels[j : j + 1])

    start = torch.zeros(18, dtype=torch.float64)
    final, h = hypergradients(start, loss, batches, rates, sgd, samples=14, exact=False)
    torch.testing.assert_close(final.view(3, 6), head.weight.detach(), rtol=1e-9, atol=1e-12)
    gradients = torch.stack([torch.func.grad(book_loss)(final, j) for j in range(4)])
    single = (-(h @ gradients.T) / 14)[members].numpy()
    if by_class:
        expected = np.stack([single[:, 1], single[:, [0, 2, 3]].mean(axis=1)], axis=1)
        np.testing.assert_allclose(effect, expected, rtol=1e-5)
    else:
        np.testing.assert_allclose(effect, single, rtol=1e-9)
