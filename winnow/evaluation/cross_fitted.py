"""The interval of a mean over cross-fitted images: each is answered for by the network that was trained without it.

N images are dealt into F folds, anew in each of R repeats, and every fold has a network of its own: R F cells of N / F
answers. With

    y_rn = mean + image_n + network_rf(n) + rest_rn

the variance of a cell's mean is that of the networks, plus those of image and rest over N / F. Over all cells,

    v = s^2 / (R F) + (1 - 1 / R) (R F / (R F - 1)) sigma_image^2 / N

where s^2 is the variance between the cells' means, with R F - 1 degrees of freedom, and sigma_image^2 the covariance of
an image's answers in two repeats, or 0 where it is negative. The first term takes an image for another one in every
repeat. But two cells of different repeats have N / F^2 images in common, so that their means have the covariance
sigma_image^2 / N; that adds to v, and takes from s^2, and the second term is both. Degrees of freedom by Satterthwaite
(1946). Networks of one repeat share training images; what that does to the covariance of their answers is not modelled
(Bates, Hastie & Tibshirani 2023).
"""

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from winnow.evaluation.intervals import Interval

Values = npt.NDArray[np.float64]
Folds = npt.NDArray[np.int64]


def cross_fitted_interval(values: Values, folds: Folds, *, level: float) -> Interval:
    """Mean of (R, N) values with its interval over networks and images.

    Args:
        values: (R, N), one row a repeat; each value from the network that was trained without the image's fold.
        folds: (R, N) fold of each image, by repeat; in all there are two or more.
        level: that the interval covers.

    Raises:
        ValueError: the shapes differ, or there are fewer than two cells or images.
    """
    if values.ndim != 2 or values.shape != folds.shape or values.shape[1] < 2:
        raise ValueError(f"values and folds must both be (R, N) with N >= 2, got {values.shape} and {folds.shape}")
    cells = [row[dealt == fold].mean() for row, dealt in zip(values, folds, strict=True) for fold in np.unique(dealt)]
    if len(cells) < 2:
        raise ValueError("one network says nothing about others; deal the images into two folds or more")
    repeats, images = values.shape
    mean, freedom = float(values.mean()), len(cells) - 1
    between = float(np.var(cells, ddof=1)) / len(cells)
    shared = (1 - 1 / repeats) * len(cells) / freedom * _image_variance(values) / images
    variance = between + shared
    spread = between**2 / freedom + shared**2 / (images - 1)
    half = float(stdtrit(variance**2 / spread, (1 + level) / 2)) * variance**0.5 if variance > 0 else 0.0
    return Interval(mean, mean - half, mean + half)


def _image_variance(values: Values) -> float:
    """The mean covariance of two repeats over the images, at least 0; 0 of one repeat."""
    repeats = len(values)
    if repeats == 1:
        return 0.0
    covariance = np.atleast_2d(np.cov(values))
    return max(0.0, float((covariance.sum() - np.trace(covariance)) / (repeats * (repeats - 1))))
