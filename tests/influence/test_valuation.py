"""Cross-fitted valuation: means, and that planted faults harm."""

import numpy as np

from winnow.dataset.folds import deal_folds
from winnow.influence.trajectory import Sgd
from winnow.influence.valuation import Plan, Valued, mean_effect, value_trajectory
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


def test_the_mean_runs_over_the_trajectories_that_trained_on_a_sample() -> None:
    one = Valued(np.array([[1.0], [2.0], [0.0], [0.0]]), np.array([True, True, False, False]), [])
    two = Valued(np.array([[3.0], [0.0], [5.0], [0.0]]), np.array([True, False, True, False]), [])
    assert mean_effect([one, two]).tolist() == [[2.0], [2.0], [5.0], [0.0]]
    assert one.effect.tolist() == [[1.0], [2.0], [0.0], [0.0]]


def test_planted_wrong_labels_harm_the_class_that_they_show() -> None:
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
    own = mean_effect(valued)[:, :2][
        np.arange(60), truth
    ]  # (N,) on the trusted image of the class that the image shows
    assert own[wrong].max() < 0 < np.delete(own, wrong).mean()
