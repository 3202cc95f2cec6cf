"""Heads against scikit-learn's logistic regression, and what they depend on."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from winnow.training.head import HeadProfile, standardised_head, train_head

PROFILE = HeadProfile(epochs=60, most_steps=0, batch=32, learning_rate=1.0, momentum=0.9, ridge=1.0)


def clouds(n: int = 120, d: int = 20, k: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    centres = rng.normal(size=(k, d))
    return torch.tensor(centres[labels] + rng.normal(size=(n, d))), torch.tensor(labels)


def test_a_head_is_multinomial_logistic_regression() -> None:
    features, labels = clouds()
    members = torch.arange(100)
    whole = replace(PROFILE, epochs=300, batch=100)  # one batch: by others, the weights end near the optimum alone
    head, _ = train_head(features, labels, members, classes=3, profile=whole, seed=0)
    inputs = head.inputs(features).numpy()
    reference = LogisticRegression(C=1 / PROFILE.ridge, fit_intercept=False, tol=1e-10, max_iter=5000)
    reference.fit(inputs[:100], labels[:100].numpy())
    ours, theirs = head.probabilities(features.numpy()), reference.predict_proba(inputs)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_images_left_out_change_nothing() -> None:
    features, labels = clouds()
    members = torch.arange(60)
    one, _ = train_head(features, labels, members, classes=3, profile=PROFILE, seed=0)
    features[60:] = 7.0
    labels[60:] = 0
    other, _ = train_head(features, labels, members, classes=3, profile=PROFILE, seed=0)
    assert torch.equal(one.weight, other.weight)


def test_seeds_change_the_order_alone() -> None:
    features, labels = clouds()
    first, again, other = (
        train_head(features, labels, torch.arange(100), classes=3, profile=PROFILE, seed=seed)[0] for seed in (0, 0, 1)
    )
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    np.testing.assert_allclose(first.weight.detach(), other.weight.detach(), atol=0.3)


def test_a_feature_that_never_changes_divides_by_no_zero() -> None:
    features, _ = clouds()
    features[:, 3] = 5.0
    head = standardised_head(features, torch.arange(100), 3)
    assert torch.isfinite(head.inputs(features)).all()
    assert torch.allclose(head.inputs(features)[:, 3], torch.zeros(120, dtype=torch.float64))


def test_the_loss_stays_finite_where_a_probability_is_too_small_for_its_type() -> None:
    """Equal pictures under two labels, and features that nothing else has."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 120)).astype(np.float32)
    features[:, 20:] = 0
    features[:2, 20:] = 1
    labels = torch.tensor([0, 1, *rng.integers(0, 2, 3998)])
    losses: list[float] = []
    train_head(
        torch.from_numpy(features),
        labels,
        torch.arange(4000),
        classes=2,
        profile=replace(PROFILE, epochs=3, batch=64),
        seed=0,
        after_epoch=lambda head, loss: losses.append(loss),
    )
    assert len(losses) == 3
    assert np.isfinite(losses).all()
