"""The interval over cross-fitted images: its definition by hand, its coverage by simulation."""

import numpy as np
import pytest
from scipy.stats import t

from winnow.evaluation.cross_fitted import cross_fitted_interval

LEVEL = 0.9


def dealt(rng: np.random.Generator, repeats: int, images: int, folds: int) -> np.ndarray:
    return np.stack([rng.permutation(np.arange(images) % folds) for _ in range(repeats)])


def test_of_one_repeat_it_is_students_over_the_folds() -> None:
    values = np.array([[1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0]])
    folds = np.array([[0, 0, 0, 1, 1, 1, 2, 2, 2]])
    means = np.array([2 / 3, 1 / 3, 1.0])
    half = t.ppf(0.95, 2) * means.std(ddof=1) / 3**0.5
    found = cross_fitted_interval(values, folds, np.arange(9), level=LEVEL)
    assert (found.mean, found.low, found.high) == pytest.approx((2 / 3, 2 / 3 - half, 2 / 3 + half))


def test_of_two_repeats_it_is_the_formula_written_out() -> None:
    rng = np.random.default_rng(0)
    values, folds = rng.normal(size=(2, 40)) + rng.normal(size=40), dealt(rng, 2, 40, 2)
    means = np.array([values[r][folds[r] == f].mean() for r in range(2) for f in range(2)])
    first = means.var(ddof=1) / 4
    second = 0.5 * 4 / 3 * np.cov(values[0], values[1])[0, 1] / 40
    freedom = (first + second) ** 2 / (first**2 / 3 + second**2 / 39)
    found = cross_fitted_interval(values, folds, np.arange(40), level=LEVEL)
    assert found.mean - found.low == pytest.approx(t.ppf(0.95, freedom) * (first + second) ** 0.5)


@pytest.mark.parametrize(("repeats", "folds"), [(1, 4), (2, 2), (2, 3), (3, 2)])
@pytest.mark.parametrize(("network", "image"), [(0.0, 0.0), (0.01, 0.3), (0.03, 0.1)])
def test_it_covers_the_mean_as_often_as_it_says(repeats: int, folds: int, network: float, image: float) -> None:
    """600 draws of 300 images; 90 % wanted, and 3 standard errors are 3.7 %."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(600):
        where = dealt(rng, repeats, 300, folds)
        quality = np.take_along_axis(rng.normal(0, network, (repeats, folds)), where, axis=1)
        values = 0.02 + rng.normal(0, image, 300) + quality + rng.normal(0, 0.5, (repeats, 300))
        found = cross_fitted_interval(values, where, np.arange(300), level=LEVEL)
        hits += found.low <= 0.02 <= found.high
    assert 0.86 <= hits / 600 <= 0.97


def test_equal_values_have_no_width() -> None:
    found = cross_fitted_interval(np.zeros((2, 6)), np.array([[0, 0, 0, 1, 1, 1]] * 2), np.arange(6), level=LEVEL)
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_one_fold_of_one_repeat_is_refused() -> None:
    with pytest.raises(ValueError, match="one network, or one group, says nothing about others"):
        cross_fitted_interval(np.ones((1, 4)), np.zeros((1, 4), np.int64), np.arange(4), level=LEVEL)


@pytest.mark.parametrize(("size", "repeats"), [(5, 2), (20, 2), (20, 3)])
def test_images_of_one_group_do_not_count_as_many(size: int, repeats: int) -> None:
    """Half of what an image is, its group is; 600 draws of 600 images, groups dealt whole, 90 % wanted."""
    rng, hits, groups = np.random.default_rng(2), 0, np.arange(600) // size
    for _ in range(600):
        where = dealt(rng, repeats, 600 // size, 2)[:, groups]
        quality = np.take_along_axis(rng.normal(0, 0.01, (repeats, 2)), where, axis=1)
        image = rng.normal(0, 0.2, 600 // size)[groups] + rng.normal(0, 0.2, 600)
        values = 0.02 + image + quality + rng.normal(0, 0.4, (repeats, 600))
        found = cross_fitted_interval(values, where, groups, level=LEVEL)
        hits += found.low <= 0.02 <= found.high
    assert 0.86 <= hits / 600 <= 0.97
