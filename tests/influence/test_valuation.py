"""Cross-fitted valuation: folds, means, and that planted faults sink in the ranking."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from winnow.dataset.folds import deal_folds
from winnow.influence import valuation
from winnow.influence.trajectory import Run, Sgd, Trajectory
from winnow.influence.valuation import Plan, Valued, combine, label_quality, value_trajectory
from winnow.training.network import centre_views
from winnow.transforms.views import Ranges

PLAN = Plan(
    epochs=6,
    batch=8,
    batch_norm_momentum=0.1,
    sgd=Sgd(0.02, 0.9, 0.0, 0.0005, nesterov=False, cosine=False),
    views=Ranges(rotate_degrees=5.0, shift=0.05, zoom=0.05, shear=0.05),
    checkpoint_epochs=2,
    replay=False,
    influence_batch=16,
    bfloat16=False,
)


def stripes(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """(N, 64, 64, 1): class 0 has horizontal stripes, class 1 vertical ones."""
    wave = (np.sin(np.arange(64) / 2 + rng.uniform(0, 6, (len(labels), 1))) > 0) * 255.0  # (N, 64)
    rows = np.repeat(wave[:, :, None], 64, axis=2)
    images = np.where(labels[:, None, None] == 0, rows, rows.transpose(0, 2, 1))
    return np.clip(images + rng.normal(0, 20, images.shape), 0, 255).astype(np.uint8)[..., None]


def test_means_over_members_and_over_the_others() -> None:
    one = Valued(np.array([[1.0], [2.0], [0.0]]), np.array([1.0, 2.0, 3.0]), np.array([True, True, False]), [])
    two = Valued(np.array([[3.0], [0.0], [5.0]]), np.array([5.0, 6.0, 7.0]), np.array([True, False, True]), [])
    values = combine([one, two])
    assert values.effect.tolist() == [[2.0], [2.0], [5.0]]
    assert values.inside.tolist() == [3.0, 2.0, 7.0]
    assert values.outside.tolist() == [3.0, 6.0, 3.0]  # sample 0 was never left out: its inside value stands in
    assert label_quality(values).tolist() == [3.0, 4.0, 5.0]


def test_planted_wrong_labels_rank_lowest_and_influence_says_harm() -> None:
    rng = np.random.default_rng(3)
    truth = np.arange(60) % 2
    images, labels = stripes(rng, truth), truth.copy()
    wrong = np.array([4, 17, 30])
    labels[wrong] = 1 - labels[wrong]
    book_labels = np.array([0, 1, 0, 1])
    folds = deal_folds(labels, [str(number) for number in range(60)], folds=3, rng=rng)
    valued = [
        value_trajectory(images, labels, stripes(rng, book_labels), book_labels, folds != t, 2, PLAN, t, lambda: None)
        for t in range(3)
    ]
    values = combine(valued)
    assert set(np.argsort(label_quality(values))[:3]) == set(wrong)
    own = values.effect[:, :2][np.arange(60), truth]  # (N,) on the trusted image of the class that the image shows
    assert own[wrong].max() < 0 < np.delete(own, wrong).mean()


def test_confidence_is_the_mean_probability_of_the_label_over_the_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 2
    images = stripes(rng, labels)
    kept: list[tuple[Run, Trajectory]] = []
    real = valuation.mean_confidence

    def keeping(run: Run, trajectory: Trajectory) -> np.ndarray:
        kept.append((run, trajectory))
        return real(run, trajectory)

    monkeypatch.setattr(valuation, "mean_confidence", keeping)
    valued = value_trajectory(images, labels, images[:2], labels[:2], np.ones(12, bool), 2, PLAN, 0, lambda: None)
    run, trajectory = kept[0]
    expected = np.zeros(12)
    states = [checkpoint.state for checkpoint in trajectory.checkpoints] + [trajectory.state]
    assert len(states) == 4
    for state in states:
        model = trajectory.model(run)
        model.load_state_dict(state)
        model.eval()
        with torch.inference_mode():
            for i in range(12):
                loss = functional.cross_entropy(model(centre_views(run.images[i : i + 1])), run.labels[i : i + 1])
                expected[i] += math.exp(-float(loss))
    np.testing.assert_allclose(valued.confidence, expected / 4, rtol=1e-4, atol=1e-6)
