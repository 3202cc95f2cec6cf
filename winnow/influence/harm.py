r"""How much an image harms the label book, beside the other images of its class, and how likely chance would do so.

Effects of one image on different label-book images are correlated: through its label alone, every image of a class
helps that class's images of the label book and harms those of the others. What says something about one image is
therefore how it differs from its class. With the mean and the standard deviation over the images of i's class c,

$$ z_{ij} = (E_{ij} - \mu_{cj}) / \sigma_{cj}, \qquad h_i = \text{mean of the five lowest of } z_{i1}, ..., z_{iM}. $$

The null hypothesis is that an image's deviations on different label-book images are unrelated: effects are permuted
within each column among the images of the class, and $h$ is computed again. A row of permuted columns has in every
column the effect of an image of the class drawn at random, apart from the other columns, and so it is drawn here.

Where a column is a class of the label book, and no image of it, $E_{ij}$ is the effect on the mean loss of class j:
$h_i$ says how much the image harms the five classes that it harms most, its own among them, compared with how the other
images of its class treat these. What an image does to the classes is tied together more closely than what it does to
single images, and there are fewer numbers to go by: on the embedded source 228 faults are ranked with an area under
the curve of 0.88 instead of 0.90, and of 36 significant images 28 are faults, instead of 61 of 69.

An image whose label is wrong deviates on many label-book images at once, which such rows hardly do; a sound image that
is unlike its class may as well, so that a low p-value is evidence and no verdict. Faults are among the images drawn
from, which makes the null wider and the p-values larger. Leaving out what was found and measuring again goes astray: it
narrows the null until a quarter of the sound images is called (docs/log/2026-11-27-influence.md, also on median and
MAD, in whose units columns with long tails rule the null and hide the others).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control

Array = npt.NDArray[np.float64]
Effects = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]

LOWEST = 5  # effects of an image that its score is the mean of
DRAWS = 100_000  # of the null for each class: the least p-value is one in as many
LEAST_DRAWS, VALUES = 1_000, 5_000_000_000  # fewer of many classes, so that no more values are drawn in all
BLOCK = 2_000_000  # values drawn at once, for bounded memory


@dataclass(frozen=True)
class Harm:
    """Of every image."""

    score: Array  # (N,) mean of the lowest standardised effects; lower is worse
    p: Array  # (N,) probability that unrelated effects of its class give as low a score, in (0, 1]


def measure_harm(effect: Effects, labels: Labels, *, rng: np.random.Generator, draws: int = DRAWS) -> Harm:
    """The harm of every image and its p-value.

    Args:
        effect: (N, M) removal effects on M columns; below 0 means that removing i lowers the loss on j.
        labels: (N,) class indices as they stood when the effects were measured.
        rng: of the draws.
        draws: of the null, for each class, at most.

    Raises:
        ValueError: shapes that do not fit, or an effect that is not finite.

    Time O(K draws M) for K classes, at most that of VALUES or K LEAST_DRAWS M draws; memory O(n M + BLOCK) beside the
    effects, for n images of a class.
    """
    _check(effect, labels)
    score, p, present = np.empty(len(effect)), np.ones(len(effect)), np.unique(labels)
    draws = min(draws, max(LEAST_DRAWS, VALUES // (len(present) * effect.shape[1])))
    for members, standard in standardised_classes(effect, labels):
        score[members] = lowest_mean(standard)
        null = np.sort(_null(standard, rng, draws))
        # With the image itself among the draws (add one), the p-value is never 0 and never too small on average.
        p[members] = (1 + np.searchsorted(null, score[members], side="right")) / (1 + draws)
    return Harm(score, p)


def standardised_classes(effect: Effects, labels: Labels) -> Iterator[tuple[Labels, Array]]:
    """The rows of each class, and their (n, M) deviations z from the class in units of its spread, column by column.

    A constant column has deviations of 0.

    Args and errors: as ``measure_harm``.
    """
    _check(effect, labels)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        of_class = effect[members].astype(np.float64)
        # A mean of equal values may differ from them by rounding, whose ratio to a spread of rounding is no deviation.
        varied = np.ptp(of_class, axis=0) > 0
        spread = np.where(varied, of_class.std(axis=0), 1.0)
        yield members, np.where(varied, (of_class - of_class.mean(axis=0)) / spread, 0.0)


def _check(effect: Effects, labels: Labels) -> None:
    if effect.ndim != 2 or effect.size == 0 or labels.shape != effect.shape[:1]:
        raise ValueError(f"effect must be (N, M) with N labels, got shapes {effect.shape} and {labels.shape}")
    if not np.isfinite(effect).all():
        raise ValueError(f"{int((~np.isfinite(effect)).sum())} effects are not finite")


def lowest_mean(standard: Array) -> Array:
    """(N,) mean of the ``LOWEST`` lowest values of a row; of all where there are fewer."""
    count = min(LOWEST, standard.shape[1])
    lowest = np.partition(standard, count - 1, axis=1)[:, :count]
    # In one order, so that equal values have equal means to the last bit and ties with the null count as ties.
    mean: Array = np.sort(lowest, axis=1).mean(axis=1)
    return mean


def surely_harmful(p: Array, *, rate: float) -> npt.NDArray[np.bool_]:
    """(N,) the images at or below the Benjamini-Hochberg threshold: of them, `rate` are expected to be there by chance.

    Args:
        p: (N,) of ``measure_harm``.
        rate: of false discoveries, in (0, 1).
    """
    found: npt.NDArray[np.bool_] = false_discovery_control(p, method="bh") <= rate
    return found


def _null(standard: Array, rng: np.random.Generator, draws: int) -> Array:
    """(draws,) scores of rows whose values are drawn column by column from the (n, M) of one class."""
    n, columns = standard.shape
    block = max(1, BLOCK // columns)
    parts = []
    for start in range(0, draws, block):
        rows = rng.integers(n, size=(min(block, draws - start), columns))
        parts.append(lowest_mean(np.take_along_axis(standard, rows, axis=0)))
    return np.concatenate(parts)
