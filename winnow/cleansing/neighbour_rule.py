"""The rule on neighbours, as published: an image is kept, dropped or relabelled by the labels of its neighbours.

Relabel when all neighbours carry one other label; drop when the closest one is far, or when the image lies among other
classes; else keep. ``far`` is measured on the class's own scale, median and median absolute deviation (MAD) of its
images' distances to their closest neighbour, so that no fixed share of clean data is dropped.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from winnow.pipeline.fields import Few, Share, section
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

Indices = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

BLOCK = 4096  # images whose shares are computed at once
MOST_DEVIATIONS = 1_000_000.0
Deviations = Annotated[float, Field(ge=0, allow_inf_nan=True)]  # at most MOST_DEVIATIONS; .inf: no limit


@section
class Rule:
    """Sections `cleanse_neighbours` and `cleanse_final`: when an image is dropped or relabelled."""

    by: Literal["support", "neighbours"]  # support: by section `support`; neighbours: as published, by what follows
    k: Few  # neighbours that vote, by repeat; with `support` they are evidence alone
    agreement: Share  # share of them that must have its label; below it the image is dropped
    relabel: Annotated[float, Field(gt=0.5, le=1)]  # share of them that gives another label
    far: Deviations  # MADs above the class's median distance to the closest neighbour; beyond it the image is dropped

    def __post_init__(self) -> None:
        if MOST_DEVIATIONS < self.far < math.inf:
            raise ValueError(f"far must be at most {MOST_DEVIATIONS:,.0f}, or .inf for no limit, got {self.far}")


def vote_shares(voted: Indices, *, classes: int) -> Array:
    """(N, K) share of each image's neighbours that carry each label.

    Args:
        voted: (N, V) labels of the neighbours that vote.
        classes: K.
    """
    places = np.arange(len(voted))[:, None] * classes + voted  # (N, V) in the table, row by row
    counts = np.bincount(places.ravel(), minlength=len(voted) * classes).reshape(len(voted), classes)
    shares: Array = counts / max(1, voted.shape[1])
    return shares


def _most_voted(labels: Indices, voted: Indices, *, classes: int) -> tuple[Array, Array, Indices]:
    """(N,) each: share of the label, largest share of another label, and which it is; (N, K) a block at a time."""
    own, best = np.empty(len(labels)), np.empty(len(labels))
    rival = np.empty(len(labels), np.int64)
    for start in range(0, len(labels), BLOCK):
        part = slice(start, start + BLOCK)
        shares = vote_shares(voted[part], classes=classes)  # (b, K)
        rows = np.arange(len(shares))
        own[part] = shares[rows, labels[part]]
        shares[rows, labels[part]] = 0
        rival[part] = shares.argmax(axis=1)
        best[part] = shares[rows, rival[part]]
    return own, best, rival


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


def judge_by_neighbours(
    labels: Indices,
    voted: Indices,
    distance: Array,
    *,
    classes: Sequence[str],
    rule: Rule,
    copies: npt.NDArray[np.bool_],
) -> list[Verdict]:
    """The verdicts, one per image.

    Args:
        labels: (N,) class indices.
        voted: (N, V) labels of the neighbours that vote.
        distance: (N,) to the closest neighbour.
        classes: K names.
        rule: the criterion.
        copies: (N,) augmented images, which are dropped and never relabelled; their own scale of distance is the
            source images'.
    """
    own, best, rival = _most_voted(labels, voted, classes=len(classes))
    far = class_limits(distance, labels, ~copies, classes=len(classes), deviations=rule.far)  # (K,)
    verdicts = []
    for i, label in enumerate(labels.tolist()):
        votes = f"{best[i]:.0%} of its neighbours are {classes[rival[i]]}"
        known = float(own[i])
        if known < rule.agreement:
            if best[i] >= rule.relabel and not copies[i]:
                verdicts.append(Verdict(RELABEL, int(rival[i]), votes, known))
            else:
                verdicts.append(
                    Verdict(DROP, None, f"{known:.0%} of its neighbours are {classes[label]}, {votes}", known)
                )
        elif distance[i] > far[label]:
            reason = f"closest neighbour at {distance[i]:.2f}, the class allows {far[label]:.2f}"
            verdicts.append(Verdict(DROP, None, reason, known))
        else:
            verdicts.append(Verdict(KEEP, label, f"{known:.0%} of its neighbours are {classes[label]}", known))
    return verdicts
