r"""How wrong labels would look on this source: each label is exchanged for every other, and the signals read again.

Signals that are out of fold (a classifier's probabilities, how much nearer the images of a class are than all others)
do not know an image's own label, so that they say what they would say if it were another: planting a wrong label needs
no new training. The scores of all planted labels are the distribution of wrong labels on the source at hand. With $F$
the share of planted labels, and $G$ the share of given ones, with at most a score,

    support     F(score of the given label): near 1 where hardly a wrong label scores as well
    faults      e = min G / F over scores: no more of the given labels can be wrong, since G >= e F
    threshold   the support that maximises the expected F1, 2 e F / (e + G), among those at which the expected share of
                sound images below, (G - e F) / (1 - e), is within a bound; 0 where the signals part too little

Where the signals cannot tell, F and G are alike, and all labels might as well be wrong: then nothing is. Images of no
class score like wrong labels, or a little better.

It is learning from known wrong and unlabelled examples (Elkan and Noto 2008; the share as in Blanchard et al. 2010),
with labels for classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

QUANTILES = np.linspace(0.5, 0.9, 17)  # of the planted scores; below the median too few given labels lie to count them
LEAST_TOUCHED = 0.01  # share of the images that may be touched, whatever the estimate
LEAST = 8  # given labels; fewer say nothing about their own distribution
# Largest (F - G) / (1 - e), at least: how far wrong and sound labels are parted. Normal scores two standard deviations
# apart reach it. Less apart, the estimate takes in so many sound images that more than one in twenty would be touched.
TOLD = 0.7
MOST_FAULTS = 0.5  # most labels are taken for right, since nothing can be learned from others


@dataclass(frozen=True)
class Planted:
    """What planting wrong labels says about the given ones."""

    scores: Array  # (N, K) of every label of every image, all signals together
    planted: Array  # (N (K - 1),) scores of wrong labels, ascending
    given: Array  # (N,) scores of the given labels, ascending
    faults: float  # estimated share of the given labels that are wrong
    threshold: float  # support below which a label is taken for wrong

    def support(self, labels: Indices) -> Array:
        """(N,) in [0, 1]: share of the planted wrong labels that score no better than these labels do."""
        return self.support_of(self.scores[np.arange(len(labels)), labels])

    def quality(self, labels: Indices, *, stop: float) -> Array:
        """(N,) label quality in [0, 1]: the support, scaled so that the threshold lies at 0.5 on every source.

        None is below 0.5 where more than ``stop`` times the estimated share of faults would be.

        Args:
            labels: (N,).
            stop: as section ``support`` has it.
        """
        support, threshold = self.support(labels), self.threshold
        if (support < threshold).mean() > max(LEAST_TOUCHED, stop * self.faults):
            threshold = 0.0
        above = 0.5 + 0.5 * (support - threshold) / max(1e-9, 1 - threshold)
        quality: Array = np.where(support < threshold, 0.5 * support / max(1e-9, threshold), np.clip(above, 0.5, 1))
        return quality

    def support_of(self, scores: Array) -> Array:
        """The same of any scores."""
        return _share(self.planted, scores)

    def usual(self, scores: Array) -> Array:
        """(n,) share of the given labels that score no better: how usual a score is for a label."""
        return _share(self.given, scores)


@dataclass(frozen=True)
class Scale:
    """Where the given labels' values of a signal lie, by which signals are made comparable."""

    middle: float
    spread: float

    def of(self, values: Array) -> Array:
        """Values in spreads from the middle; what is unknown counts as the middle."""
        return np.nan_to_num((values - self.middle) / self.spread)


def scale_of(given: Array) -> Scale:
    """The scale of a signal by its values for the given labels, those that are known."""
    known = given[np.isfinite(given)]
    spread = float(known.std()) if len(known) else 0.0
    return Scale(float(np.median(known)) if len(known) else 0.0, spread if spread > 0 else 1.0)


def plant_flips(
    signals: Sequence[Array], labels: Indices, judged: npt.NDArray[np.bool_], *, most_sound: float
) -> Planted:
    """Support, share of faults and threshold of a source.

    Args:
        signals: each (N, K): what it gives every label of every image, out of fold, higher is better; NaN is unknown.
        labels: (N,) given.
        judged: (N,) images by which the distributions are measured; copies and the label book are not among them.
        most_sound: share of the sound images that may fall below the threshold, as expected.
    """
    rows = np.arange(len(labels))
    scores: Array = np.zeros((len(labels), signals[0].shape[1]))
    for signal in signals:
        scores += scale_of(signal[rows, labels][judged]).of(signal)
    others = np.ones(scores.shape, dtype=bool)
    others[rows, labels] = False
    planted = np.sort(scores[judged][others[judged]])
    given = np.sort(scores[rows, labels][judged])
    faults, threshold = share_and_threshold(given, planted, most_sound=most_sound)
    return Planted(scores, planted, given, faults, threshold)


def share_and_threshold(given: Array, planted: Array, *, most_sound: float) -> tuple[float, float]:
    """The estimated share of faults, and the support below which a label is taken for wrong; both 0 without data.

    Args:
        given: (n,) scores of the given labels, ascending.
        planted: (m,) scores of planted wrong labels, ascending.
        most_sound: as for ``plant_flips``.
    """
    if len(given) < LEAST or not len(planted):
        return 0.0, 0.0
    at = np.quantile(planted, QUANTILES)
    faults = float(min(1.0, np.min(_share(given, at) / _share(planted, at))))
    # Cut below each given score but the first, as far up as it goes: what planted labels lie between still counts.
    support = _share(planted, given)  # (n,) ascending; equal ones cannot be cut apart
    above = np.append(support[1:], np.nextafter(1.0, 2.0))
    wrong = np.append(np.searchsorted(planted, given[1:], side="left") / len(planted), 1.0)
    below = np.arange(1, len(given) + 1) / len(given)
    if faults > MOST_FAULTS or np.max(wrong - below) < TOLD * (1 - faults):
        return faults, 0.0
    found = np.minimum(faults * wrong, below)  # share of all images that are faults and lie below
    sound = (below - found) / max(1e-9, 1 - faults)
    f1 = np.where((sound <= most_sound) & (support < above), 2 * found / (faults + below), 0.0)
    best = int(f1.argmax())
    return faults, float(above[best]) if f1[best] > 0 else 0.0


def _share(ascending: Array, at: Array) -> Array:
    """Share of the values that are at most each of ``at``."""
    share: Array = np.searchsorted(ascending, at, side="right") / max(1, len(ascending))
    return share
