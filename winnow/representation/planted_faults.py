r"""How faults would look on this source: wrong labels and junk are planted, and the signals read on them.

Signals that are out of fold (a classifier's probabilities, how much nearer the images of a class are than all others)
do not know an image's own label, so that they say what they would say if it were another: planting a wrong label needs
no new training. Junk is planted as images made of the source's own (``planted_junk``), which the same networks read.
The scores of all planted faults are the distribution of faults on the source at hand. With $F$ the share of planted
faults, and $G$ the share of given labels, with at most a score,

    support     F(score of the given label): near 1 where hardly a fault scores as well
    faults      e = min G / F over scores: no more of the given labels can be wrong, since G >= e F
                Of faults that are left after a cleansing this says little, since they are those that score well: then
                it is at least the share that the cleansing expected to leave, e (1 - threshold) of all images
    threshold   the support that maximises the expected F1, 2 e F / (e + G), among those at which the expected share of
                sound images below, (G - e F) / (1 - e), is within a bound; 0 where the signals part too little

Where the signals cannot tell, F and G are alike, and all labels might as well be wrong: then nothing is.

A wrong label drawn uniformly is too easy a fault where people confuse what is alike, and e then counts easy ones alone.
So, where ``alike`` gives the probability of each class for each image, a planted label weighs as much as that: images
that lie between classes are mislabelled more often, and as those classes. Images whose own label is not their likeliest
are left out, since they may be faults, whose planted label would be the right one.

It is learning from known wrong and unlabelled examples (Elkan and Noto 2008; the share as in Blanchard et al. 2010),
with labels for classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winnow.dataset.draws import some_of

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

QUANTILES = np.linspace(0.5, 0.9, 17)  # of the planted scores; below the median too few given labels lie to count them
LEAST_TOUCHED = 0.01  # share of the images that may be touched, whatever the estimate
LEAST = 8  # given labels; fewer say nothing about their own distribution
# Largest (F - G) / (1 - e), at least: how far wrong and sound labels are parted. Normal scores two standard deviations
# apart reach it. Less apart, the estimate takes in so many sound images that more than one in twenty would be touched.
TOLD = 0.7
MOST_FAULTS = 0.5  # most labels are taken for right, since nothing can be learned from others
JUNK = 0.5  # weight of planted junk, where there is any, among planted faults
PAIRS = 2**23  # wrong labels that are planted at most, some 0.6 GB; of more, those of a sample of the images


@dataclass(frozen=True)
class Distribution:
    """Weighted values."""

    values: Array  # (n,) ascending
    cumulative: Array  # (n,) share of the weight at or below each; the last is 1

    def share(self, at: Array, *, below: bool = False) -> Array:
        """Share of the weight at most, or below, each of ``at``; 0 without values."""
        place = np.searchsorted(self.values, at, side="left" if below else "right")
        share: Array = np.append(0.0, self.cumulative)[place]
        return share

    def quantiles(self, at: Array) -> Array:
        """The least value that each share of the weight is at most."""
        place = np.searchsorted(self.cumulative, at, side="left")
        values: Array = self.values[np.minimum(place, len(self.values) - 1)]
        return values


def distribution(values: Array, weights: Array | None = None) -> Distribution:
    """Of (n,) values, each with its weight; all alike where none are given."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum((np.ones(len(values)) if weights is None else weights)[order])
    if len(cumulative):
        cumulative = cumulative / cumulative[-1]
        cumulative[-1] = 1.0
    return Distribution(values[order], cumulative)


@dataclass(frozen=True)
class Scale:
    """Where the given labels' values of a signal lie, by which signals are made comparable."""

    middle: float
    spread: float

    def of(self, values: Array) -> Array:
        """Values in spreads from the middle; what is unknown counts as the middle."""
        return np.nan_to_num((values - self.middle) / self.spread)


@dataclass(frozen=True)
class Scores:
    """The score of every label of every image: the sum of its signals, each on its scale.

    Computed where it is asked for: a table of all of them would be the largest array of a cleansing.
    """

    signals: Sequence[npt.NDArray[np.floating]]  # each (N, K); NaN is unknown
    scales: Sequence[Scale]

    def of_images(self, rows: Indices) -> Array:
        """(n, K) of every label of some images."""
        found: Array = np.zeros((len(rows), self.signals[0].shape[1]))
        for signal, scale in zip(self.signals, self.scales, strict=True):
            found += scale.of(signal[rows].astype(np.float64))
        return found

    def of_labels(self, rows: Indices, labels: Indices) -> Array:
        """(n,) of a label of each of some images."""
        found: Array = np.zeros(len(rows))
        for signal, scale in zip(self.signals, self.scales, strict=True):
            found += scale.of(signal[rows, labels].astype(np.float64))
        return found


@dataclass(frozen=True)
class Planted:
    """What planting faults says about the given labels."""

    scores: Scores
    planted: Distribution  # scores of faults
    given: Distribution  # scores of the given labels
    faults: float  # estimated share of the given labels that are wrong
    threshold: float  # support below which a label is taken for wrong

    def support(self, labels: Indices) -> Array:
        """(N,) in [0, 1]: share of the planted faults that score no better than these labels do."""
        return self.support_of(self.scores.of_labels(np.arange(len(labels)), labels))

    def quality(self, labels: Indices, rows: Indices, *, stop: float) -> Array:
        """(n,) label quality in [0, 1]: the support, scaled so that the threshold lies at 0.5 on every source.

        None is below 0.5 where more than ``stop`` times the estimated share of faults would be.

        Args:
            labels: (n,) of these rows.
            rows: (n,) of the images that are judged.
            stop: as section ``support`` has it.
        """
        support, threshold = self.support_of(self.scores.of_labels(rows, labels)), self.threshold
        if (support < threshold).mean() > max(LEAST_TOUCHED, stop * self.faults):
            threshold = 0.0
        above = 0.5 + 0.5 * (support - threshold) / max(1e-9, 1 - threshold)
        quality: Array = np.where(support < threshold, 0.5 * support / max(1e-9, threshold), np.clip(above, 0.5, 1))
        return quality

    def support_of(self, scores: Array) -> Array:
        """The same of any scores."""
        return self.planted.share(scores)

    def usual(self, scores: Array) -> Array:
        """(n,) share of the given labels that score no better: how usual a score is for a label."""
        return self.given.share(scores)


def scale_of(given: Array) -> Scale:
    """The scale of a signal by its values for the given labels, those that are known."""
    known = given[np.isfinite(given)]
    spread = float(known.std()) if len(known) else 0.0
    return Scale(float(np.median(known)) if len(known) else 0.0, spread if spread > 0 else 1.0)


def plant_faults(
    signals: Sequence[npt.NDArray[np.floating]],
    labels: Indices,
    judged: npt.NDArray[np.bool_],
    *,
    most_sound: float,
    alike: npt.NDArray[np.floating] | None = None,
    junk: Array | None = None,
    expected: float = 0.0,
) -> Planted:
    """Support, share of faults and threshold of a source.

    Args:
        signals: each (N, K): what it gives every label of every image, out of fold, higher is better; NaN is unknown.
            Float32 or float64; computed with in the latter.
        labels: (N,) given.
        judged: (N,) images by which the distributions are measured; copies and the label book are not among them.
        most_sound: share of the sound images that may fall below the threshold, as expected.
        alike: (N, K) probability of each class for each image, by which it is mislabelled; NaN is unknown. None: every
            label of every image is as likely.
        junk: (J,) what the first signal gives planted junk for the labels that it is planted with. The other signals
            are taken to be as usual of faults: those of wrong labels, in turn.
        expected: share of faults that an earlier cleansing expected to leave; the estimate is not below it.

    Wrong labels are planted on all judged images, or, beyond ``PAIRS`` of image and label, on a sample of them. Time
    O(N), and memory 80 bytes for each planted label.
    """
    rows = np.flatnonzero(judged)
    scales = [scale_of(signal[rows, labels[rows]].astype(np.float64)) for signal in signals]
    scores, classes = Scores(signals, scales), signals[0].shape[1]
    shown = some_of(rows, max(1, PAIRS // classes), seed=0)
    first = signals[0][shown].astype(np.float64)  # (n, K)
    weight = _flip_weights(labels[shown], classes, None if alike is None else alike[shown])
    weight[np.isnan(first)] = 0.0  # whoever judges the image does not know the class
    flipped = weight > 0
    wrong, weights = scores.of_images(shown)[flipped], weight[flipped]
    if junk is not None and len(junk) and len(wrong):
        rest = wrong - scales[0].of(first)[flipped]  # what the other signals give wrong labels
        planted_junk = scales[0].of(junk) + rest[np.arange(len(junk)) * len(rest) // len(junk)]
        weights = np.concatenate(
            [(1 - JUNK) * weights / weights.sum(), np.full(len(planted_junk), JUNK / len(planted_junk))]
        )
        wrong = np.concatenate([wrong, planted_junk])
    planted, given = distribution(wrong, weights), distribution(scores.of_labels(rows, labels[rows]))
    faults, threshold = share_and_threshold(given, planted, most_sound=most_sound, expected=expected)
    return Planted(scores, planted, given, faults, threshold)


def _flip_weights(labels: Indices, classes: int, alike: npt.NDArray[np.floating] | None) -> Array:
    """(n, K) weight of each label as a planted wrong one; 0 for the given label."""
    others = np.arange(classes) != labels[:, None]
    if alike is None:
        weight: Array = others.astype(np.float64)
        return weight
    known = np.nan_to_num(alike.astype(np.float64))
    fits = known.argmax(axis=1) == labels
    weight = np.where(others & fits[:, None], known, 0.0)
    return weight


def share_and_threshold(
    given: Distribution, planted: Distribution, *, most_sound: float, expected: float = 0.0
) -> tuple[float, float]:
    """The estimated share of faults, and the support below which a label is taken for wrong; both 0 without data.

    Args:
        given: scores of the given labels, all of one weight.
        planted: scores of planted faults.
        most_sound: as for ``plant_faults``.
        expected: likewise.
    """
    if len(given.values) < LEAST or not len(planted.values):
        return 0.0, 0.0
    at = planted.quantiles(QUANTILES)
    faults = max(expected, float(min(1.0, np.min(given.share(at) / planted.share(at)))))
    # Cut below each given score but the first, as far up as it goes: what planted labels lie between still counts.
    support = planted.share(given.values)  # (n,) ascending; equal ones cannot be cut apart
    above = np.append(support[1:], np.nextafter(1.0, 2.0))
    wrong = np.append(planted.share(given.values[1:], below=True), 1.0)
    below = np.arange(1, len(given.values) + 1) / len(given.values)
    if faults > MOST_FAULTS or np.max(wrong - below) < TOLD * (1 - faults):
        return faults, 0.0
    found = np.minimum(faults * wrong, below)  # share of all images that are faults and lie below
    sound = (below - found) / max(1e-9, 1 - faults)
    f1 = np.where((sound <= most_sound) & (support < above), 2 * found / (faults + below), 0.0)
    best = int(f1.argmax())
    return faults, float(above[best]) if f1[best] > 0 else 0.0
