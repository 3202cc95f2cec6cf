"""The interval of a mean over cross-fitted images: each is answered for by the network that was trained without it.

N images in K groups are dealt into F folds, anew in each of R repeats, and every fold has a network of its own: C = R F
cells, a share w_c of all answers in each. With

    y_rn = mean + image_n + network_rf(n) + rest_rn

the variance of the mean over all answers is estimated as

    v = C / (C - 1) (sum_c w_c^2 (mean_c - mean)^2 + (1 - 1 / R) G)

where G estimates the variance of a repeat's mean that is due to its images: from the products of a group's sums of
answers in two repeats, or 0 where they are negative. The first term takes an image for another one in every repeat. But
cells of different repeats have images in common, so that their means have the covariance G; that adds to v, and takes
from the first term, and the second is both. A group counts as one: it shares a fold, and its images are alike. Degrees
of freedom, C - 1 and K - 1, by Satterthwaite (1946). Networks of one repeat share training images; what that does to
the covariance of their answers is not modelled (Bates, Hastie & Tibshirani 2023).
"""

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from winnow.evaluation.intervals import Interval

Values = npt.NDArray[np.float64]
Folds = npt.NDArray[np.int64]


def cross_fitted_interval(values: Values, folds: Folds, groups: npt.NDArray[np.generic], *, level: float) -> Interval:
    """Mean of (R, N) values with its interval over networks and groups of images.

    Args:
        values: (R, N), one row a repeat; each value from the network that was trained without the image's fold.
        folds: (R, N) fold of each image, by repeat; in all there are two or more.
        groups: (N,) equal for images that share a fold.
        level: that the interval covers.

    Raises:
        ValueError: the shapes differ, or there are fewer than two cells or groups.
    """
    if values.ndim != 2 or values.shape != folds.shape or values.shape[1:] != groups.shape:
        shapes = f"{values.shape}, {folds.shape} and {groups.shape}"
        raise ValueError(f"values, folds and groups must be (R, N), (R, N) and (N,), got {shapes}")
    codes = np.unique(groups, return_inverse=True)[1]
    count = int(codes.max(initial=-1)) + 1
    cells = [row[dealt == fold] for row, dealt in zip(values, folds, strict=True) for fold in np.unique(dealt)]
    if len(cells) < 2 or count < 2:
        raise ValueError("one network, or one group, says nothing about others; deal two or more groups into two folds")
    mean, freedom = float(values.mean()), len(cells) - 1
    scale = len(cells) / freedom
    between = scale * sum((len(cell) / values.size * (cell.mean() - mean)) ** 2 for cell in cells)
    shared = scale * (1 - 1 / len(values)) * _image_variance(values, codes, count)
    variance = between + shared
    spread = between**2 / freedom + shared**2 / (count - 1)
    half = float(stdtrit(variance**2 / spread, (1 + level) / 2)) * variance**0.5 if spread > 0 else 0.0
    return Interval(mean, float(mean - half), float(mean + half))


def _image_variance(values: Values, codes: npt.NDArray[np.int64], count: int) -> float:
    """Of a repeat's mean, the variance due to its images; 0 of one repeat, in which nothing tells it."""
    repeats, images = values.shape
    if repeats == 1:
        return 0.0
    sums = np.stack([np.bincount(codes, row - row.mean(), count) for row in values])  # (R, K)
    products = float((sums.sum(axis=0) ** 2).sum() - (sums**2).sum()) / (repeats * (repeats - 1))
    return float(max(0.0, products) * count / (count - 1) / images**2)
