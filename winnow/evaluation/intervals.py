"""95 % intervals for means over seeds and test images, both of them random.

An accuracy measured with S seeds on N images would differ with other seeds and with other images. An interval over the
seeds alone ignores the images, which contribute more; one over the S x N answers taken as independent is far too
narrow. Here the (S, N) matrix of answers is a crossed two-way random-effects layout

    y_sn = mean + seed_s + image_n + rest_sn

which is the multi-reader multi-case analysis of diagnostic imaging with seeds as readers and test images as cases.

Source: variance components by the method of moments, Gallas (2006), "One-shot estimate of MRMC variance", and
Dorfman, Berbaum & Metz (1992); degrees of freedom by Satterthwaite (1946). Differs: a seed or image component that
comes out negative is put at 0, as Hillis (2007) does for the cases, so that the interval is never too narrow for it.

Near 0 and 1, as with 40 images that are all right, such an interval has hardly any width. Intervals of accuracies and
of their differences therefore reach at either end at least as far as those of the layout with a few images added, as
Agresti & Coull (1998) add them to a binomial share, and Bonett & Price (2012) to a difference of paired ones. Alone,
the interval of that layout would be too narrow where two seeds differ much, because images that all seeds class alike
add degrees of freedom.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import stdtrit

LEVEL = 0.95


Values = npt.NDArray[np.float64] | npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    def clipped(self) -> "Interval":
        """The same for a quantity that cannot leave [0, 1]."""
        return Interval(self.mean, max(self.low, 0.0), min(self.high, 1.0))

    def figures(self) -> dict[str, float]:
        """As metrics show it."""
        return asdict(self)


NO_CHANGE = Interval(0.0, 0.0, 0.0)  # between arms that are known to be the same


def crossed_interval(values: Values, *, level: float = LEVEL) -> Interval:
    r"""Mean of an (S, N) matrix with its interval over seeds and images.

    With mean squares $M_S$, $M_N$, $M_R$ of seeds, images and rest (the two-way table without replication),

    $$ v = \frac{\max(M_S, M_R) + \max(M_N, M_R) - M_R}{S N} $$

    and mean ± t sqrt(v), t with v's Satterthwaite degrees of freedom. Where all values are equal it has no width.

    Args:
        values: (S, N), one row per seed, one column per test image. With S = 1 nothing is known about seeds, and the
            interval covers other images alone.
        level: that the interval covers.

    Raises:
        ValueError: no matrix, no seed, or fewer than two images.
    """
    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 2 or len(y) < 1 or y.shape[1] < 2:
        raise ValueError(f"values must be (S, N) with S >= 1 and N >= 2, got {y.shape}")
    seeds, images = y.shape
    mean = float(y.mean())
    over_images = images / (images - 1) * float(y.mean(axis=0).var()) * seeds  # M_N
    if seeds == 1:
        return _interval(mean, over_images / images, images - 1, level)
    over_seeds = seeds / (seeds - 1) * float(y.mean(axis=1).var()) * images  # M_S
    residual = y - y.mean(axis=0) - y.mean(axis=1, keepdims=True) + mean  # (S, N)
    rest_freedom = (seeds - 1) * (images - 1)
    rest = float((residual**2).sum()) / rest_freedom  # M_R
    parts = ((max(over_seeds, rest), seeds - 1), (max(over_images, rest), images - 1), (-rest, rest_freedom))
    variance = sum(square for square, _ in parts)
    spread = sum(square**2 / freedom for square, freedom in parts)
    return _interval(mean, variance / (seeds * images), variance**2 / spread if spread > 0 else images - 1, level)


def _interval(mean: float, variance: float, freedom: float, level: float) -> Interval:
    half = float(stdtrit(freedom, (1 + level) / 2)) * float(np.sqrt(variance))
    return Interval(mean, mean - half, mean + half)


def accuracy_interval(right: Values) -> Interval:
    """Mean accuracy of (S, N) answers, true where right, or shares of right answers."""
    return _with_images(right.astype(np.float64), (1, 1, 0, 0)).clipped()


def gain_interval(right: Values, before: Values, *, level: float = LEVEL) -> Interval:
    """Accuracy of one arm minus that of another; row s of both has the same seed, column n the same image.

    Args:
        right: (S, N) of the arm.
        before: (S, N) of the arm that it is compared with.
        level: that the interval covers.
    """
    return _with_images(right.astype(np.float64) - before.astype(np.float64), (1, -1), level=level)


def error_reduction_interval(right: Values, baseline: Values) -> Interval | None:
    r"""Share of the baseline's errors that an arm does not make, $1 - e / e_0$; None where the baseline makes none.

    The interval is Fieller's (1954): of the ratios $\rho$ for which the interval of $e - \rho e_0$ holds 0. It lies
    above 0 exactly where that of the gain does, which is $\rho = 1$. Where the baseline makes so few errors that any
    ratio may be, it is cut at $\rho = 0$, no error at all, and at $1 / e_0$, nothing but errors.

    Args:
        right: (S, N) of the arm.
        baseline: (S, N) of the baseline, same seeds and images.
    """
    errors, before = 1.0 - right, 1.0 - baseline  # (S, N)
    if not before.any():
        return None

    def outside(ratio: float) -> float:
        found = _with_images(errors - ratio * before, (1, -ratio))
        return max(found.low, -found.high)

    def end(*ratios: float) -> float:
        """The end before the first of these ratios that is outside; the last of them where none is."""
        beyond = next((ratio for ratio in ratios if outside(ratio) > 0), None)
        return ratios[-1] if beyond is None else float(brentq(outside, *sorted((middle, beyond))))

    middle, largest = float(errors.mean() / before.mean()), 1 / float(before.mean())
    # With seeds that differ much, ratios beyond may be inside again: 1 is asked first, which is what the gain asks.
    least = end(1.0, 0.0) if middle > 1 else end(0.0)
    most = end(1.0, largest) if middle < 1 else end(largest)
    return Interval(1 - middle, 1 - most, 1 - least)


def _with_images(values: npt.NDArray[np.float64], added: Sequence[float], *, level: float = LEVEL) -> Interval:
    """The mean of an (S, N) matrix, with the wider of its interval and that with images added, at either end.

    Args:
        values: (S, N).
        added: value of each image added, the same for every seed.
        level: that the interval covers.
    """
    alone = crossed_interval(values, level=level)
    more = np.hstack([values, np.tile(np.array(added, np.float64), (len(values), 1))])
    joined = crossed_interval(more, level=level)
    return Interval(alone.mean, min(alone.low, joined.low), max(alone.high, joined.high))
