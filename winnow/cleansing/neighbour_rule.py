"""The rule on neighbours: an image is kept, dropped or relabelled by them, a classifier and its label quality.

The rule as published: relabel when all neighbours carry one other label; drop when the closest one is far, or when the
image lies among other classes; else keep. ``far`` is measured on the class's own scale, median and median absolute
deviation (MAD) of its images' distances to their closest neighbour, so that no fixed share of clean data is dropped.

Differs, where ``signals`` names others than the neighbours: the support for a label is then the mean of what each
signal gives it, and the verdicts rest on that mean; a new label needs the agreement of the neighbours and, if named, of
the classifier. And it is given only to an image as near as the new class's own images are (``near``): junk has
neighbours too.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from winnow.pipeline.fields import Few, Share, section
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

SIGNALS = ("neighbours", "classifier", "label_quality")


Indices = npt.NDArray[np.int64]


Array = npt.NDArray[np.float64]


MOST_DEVIATIONS = 1_000_000.0


Deviations = Annotated[float, Field(ge=0, allow_inf_nan=True)]  # at most MOST_DEVIATIONS; .inf: no limit


@section
class Rule:
    """When an image is dropped or relabelled."""

    k: Few  # neighbours that vote, by repeat
    # neighbours: their share of the label; classifier: its probability; label_quality: the valuation's.
    signals: list[str]
    support: Share  # mean of the signals for the image's own label; below it the label is wrong
    # Share of the neighbours, and probability by the classifier if named, that gives another label.
    relabel: Annotated[float, Field(gt=0.5, le=1)]
    near: Deviations  # MADs above the other class's median distance; an image beyond it is not relabelled but dropped
    far: Deviations  # MADs above the class's median distance to the closest neighbour; beyond it the image is dropped

    def __post_init__(self) -> None:
        if not self.signals or set(self.signals) - set(SIGNALS) or len(set(self.signals)) < len(self.signals):
            raise ValueError(f"signals must name one or more of {', '.join(SIGNALS)}, each once, got {self.signals}")
        for name, limit in (("near", self.near), ("far", self.far)):
            if MOST_DEVIATIONS < limit < math.inf:
                raise ValueError(f"{name} must be at most {MOST_DEVIATIONS:,.0f}, or .inf for no limit, got {limit}")


def vote_shares(voted: Indices, *, classes: int) -> Array:
    """(N, K) share of each image's neighbours that carry each label.

    Args:
        voted: (N, V) labels of the neighbours that vote.
        classes: K.
    """
    shares = np.zeros((len(voted), classes))
    for label in range(classes):
        shares[:, label] = (voted == label).mean(axis=1)
    return shares


def class_limits(
    distance: Array, labels: Indices, source: npt.NDArray[np.bool_], *, classes: int, deviations: float
) -> Array:
    """(K,) how far the closest neighbour of an image of each class may be: median + deviations times MAD.

    Measured on the source images that carry the label; infinite for a class without any.

    Args:
        distance: (N,) to the closest neighbour.
        labels: (N,).
        source: (N,) true for images that are not copies.
        classes: K.
        deviations: how many.
    """
    limits = np.full(classes, np.inf)
    for label in np.unique(labels[source]) if math.isfinite(deviations) else ():  # infinitely many times 0 is no limit
        members = distance[source & (labels == label)]
        median = np.median(members)
        limits[label] = median + deviations * np.median(np.abs(members - median))
    return limits


def judge_labels(
    labels: Indices,
    voted: Indices,
    distance: Array,
    *,
    classes: Sequence[str],
    rule: Rule,
    probability: Array | None = None,
    label_quality: Array | None = None,
    predicted: Array | None = None,
    copies: npt.NDArray[np.bool_] | None = None,
) -> list[Verdict]:
    """The verdicts, one per image.

    Args:
        labels: (N,) class indices.
        voted: (N, V) labels of the neighbours that vote.
        distance: (N,) to the closest neighbour.
        classes: K names.
        rule: the criterion.
        probability: (N, K) of each class, by the classifier; NaN where it is unknown. Counts where the rule names it.
        label_quality: (N,) of the own label by the valuation, in [0, 1]; NaN where it has none. Counts where the rule
            names it. Of an image, the signals that are NaN are ignored; if all are, its neighbours decide.
        predicted: (N, K) of each class, by the user's own model; NaN where it says nothing. Counts where there is any.
        copies: (N,) augmented images, which are dropped and never relabelled; their own scale of distance is the
            source images'. None: there are none.
    """
    copied = np.zeros(len(labels), dtype=bool) if copies is None else copies
    shares = vote_shares(voted, classes=len(classes))  # (N, K)
    rows = np.arange(len(labels))
    if "classifier" in rule.signals and probability is None:
        raise ValueError("the rule names the classifier, but its probabilities are missing")
    judged = probability if "classifier" in rule.signals else None
    support = _support(
        [*rule.signals, *(["predicted"] if predicted is not None else [])],
        neighbours=shares[rows, labels],
        classifier=None if judged is None else judged[rows, labels],
        label_quality=label_quality,
        predicted=None if predicted is None else predicted[rows, labels],
    )
    others = shares.copy() if judged is None else np.minimum(shares, np.nan_to_num(judged))
    others[rows, labels] = 0
    rival = others.argmax(axis=1) if len(labels) else labels
    far, near = (
        class_limits(distance, labels, ~copied, classes=len(classes), deviations=deviations)
        for deviations in (rule.far, rule.near)
    )  # (K,)
    belongs = (others[rows, rival] >= rule.relabel) & (distance <= near[rival]) & ~copied  # (N,)
    verdicts = []
    for i, label in enumerate(labels.tolist()):
        votes = f"{shares[i, rival[i]]:.0%} of its neighbours are {classes[rival[i]]}"
        votes += "" if judged is None else f", the classifier {_sees(judged[i], label, classes)}"
        known = float(support[i])
        if known < rule.support:
            lacking = Verdict(DROP, None, f"support {known:.2f} for {classes[label]}, {votes}", known)
            verdicts.append(Verdict(RELABEL, int(rival[i]), votes, known) if belongs[i] else lacking)
        elif distance[i] > far[label]:
            reason = f"closest neighbour at {distance[i]:.2f}, the class allows {far[label]:.2f}"
            verdicts.append(Verdict(DROP, None, reason, known))
        else:
            verdicts.append(Verdict(KEEP, label, f"support {known:.2f}", known))
    return verdicts


def _sees(probability: Array, label: int, classes: Sequence[str]) -> str:
    """ "sees ii (90%), i at 5%": the classifier's first choice, and what it gives the label if that is another one."""
    known = np.nan_to_num(probability)
    first = int(known.argmax())
    rest = "" if first == label or np.isnan(probability[label]) else f", {classes[label]} at {known[label]:.0%}"
    return f"sees {classes[first]} ({known[first]:.0%}){rest}"


def _support(
    signals: Sequence[str],
    *,
    neighbours: Array,
    classifier: Array | None,
    label_quality: Array | None,
    predicted: Array | None,
) -> Array:
    """(N,) mean of the signals named, of each image those that are not NaN; the neighbours' share if all are NaN."""
    given = {
        "neighbours": neighbours,
        "classifier": classifier,
        "label_quality": label_quality,
        "predicted": predicted,
    }
    values = np.stack([value for name in signals if (value := given[name]) is not None] or [neighbours])  # (S, N)
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
    return np.where(known.any(axis=0), total, neighbours)
