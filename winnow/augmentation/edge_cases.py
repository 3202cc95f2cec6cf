"""Edge cases: images that clearly belong to their class but are isolated in it.

By margin, they are those of which networks that were not trained on them are least sure, though their labels stand.

As published, in a plane of features, an image belongs to its cluster when its neighbours share its label, and is
isolated when its closest neighbour of its own class is far, compared with what is usual in the class. Edge cases are
where a class is sparsely sampled, so that copies of them add more than copies of frequent images.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from winnow.pipeline.fields import Few, Share, section

Points = npt.NDArray[np.floating]

BLOCK = 4096  # images whose margins are computed at once


@section
class Rule:
    """When an image is an edge case."""

    k: Few  # neighbours whose labels say where it belongs
    agreement: Share  # share of them that must carry its label
    quantile: Share  # of its class's distances to the closest of the class; at or above it is far


@dataclass(frozen=True)
class Found:
    """The findings, one row per image."""

    agreement: npt.NDArray[np.float64]  # (N,) share of the neighbours that carry its label
    isolation: npt.NDArray[np.float64]  # (N,) distance to the closest of its class, or 1 minus its margin
    edge: npt.NDArray[np.bool_]  # (N,)


def find_edge_cases(points: Points, labels: npt.NDArray[np.int64], rule: Rule) -> Found:
    """The edge cases among points.

    A class in which no image belongs to the cluster has none; a class of one image has none either.
    With fewer than k + 1 images all others are neighbours.

    Args:
        points: (N, D) features; D is 2 in the plane.
        labels: (N,) class indices.
        rule: the criterion.

    Time O(N k log N).
    """
    count = len(points)
    agreement, distance, edge = np.zeros(count), np.zeros(count), np.zeros(count, dtype=bool)
    if count < 2:
        return Found(agreement, distance, edge)
    k = min(rule.k, count - 1)
    _, nearest = cKDTree(points).query(points, k=k + 1)  # (N, k + 1)
    for i, row in enumerate(nearest):
        others = row[row != i][:k]  # an image that equals another may come second
        agreement[i] = float(np.mean(labels[others] == labels[i]))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            continue
        distance[members] = cKDTree(points[members]).query(points[members], k=2)[0][:, 1]
        belongs = members[agreement[members] >= rule.agreement]
        if len(belongs):
            far = np.quantile(distance[members], rule.quantile)
            edge[belongs] = (distance[belongs] >= far) & (distance[belongs] > 0)
    return Found(agreement, distance, edge)


def find_by_margin(probability: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], *, quantile: float) -> Found:
    """The images with the smallest margins of each class: probability of the label less that of the likeliest other.

    One of which another class is likelier is none, since its label may be wrong, and counts as the least isolated, so
    that it is copied last. A class of one image has none.

    Args:
        probability: (N, K) of each class, out of fold; NaN is unknown and counts as 0.
        labels: (N,) class indices.
        quantile: of its class's isolation; at or above it an image is an edge case.
    """
    own, best = np.zeros(len(labels)), np.zeros(len(labels))
    for start in range(0, len(labels), BLOCK):  # (N, K) is large where there are many of both
        part = slice(start, start + BLOCK)
        known = np.nan_to_num(probability[part]).astype(np.float64)
        rows = np.arange(len(known))
        own[part] = known[rows, labels[part]]
        known[rows, labels[part]] = 0
        best[part] = known.max(axis=1, initial=0)
    margin = own - best
    isolation = np.where(margin >= 0, 1 - margin, 0.0)
    edge = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        belongs = np.flatnonzero((labels == label) & (margin >= 0))
        if len(belongs) > 1:
            edge[belongs] = isolation[belongs] >= np.quantile(isolation[belongs], quantile)
    return Found(own, isolation, edge)


def choose_edge_parents(
    labels: npt.NDArray[np.int64],
    isolation: npt.NDArray[np.float64],
    edge: npt.NDArray[np.bool_],
    *,
    missing: npt.NDArray[np.int64],
    copies: int,
    room: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """The source image of each copy: a class's edge cases, the most isolated first, each equally often or once more.

    A class with too few edge cases for ``copies`` each also uses its other images, the most isolated first; one with
    too few images at all uses each of them more often.

    Args:
        labels: (N,) class indices.
        isolation: (N,).
        edge: (N,).
        missing: (K,) copies that each class shall get.
        copies: at most of one image, while its class has others.
        room: (N,) copies that an image may get at all, even if its class then gets fewer; None: any number.

    Returns:
        (M,) rows, ascending, each repeated once per copy.

    Raises:
        ValueError: copies are wanted of a class without images.
    """
    times = np.zeros(len(labels), dtype=np.int64)
    for label, wanted in enumerate(missing.tolist()):
        members = np.flatnonzero(labels == label)
        if wanted <= 0:
            continue
        if not len(members):
            raise ValueError(f"class {label} has no image to copy, {wanted} copies are wanted")
        order = members[np.lexsort((-isolation[members], ~edge[members]))]  # edge cases first, the most isolated first
        parents = order[: max(int(edge[members].sum()), -(-wanted // copies))]
        times[parents] = wanted // len(parents)
        times[parents[: wanted % len(parents)]] += 1
        if room is not None:
            times[members] = np.minimum(times[members], room[members])
            while (short := wanted - times[members].sum()) > 0 and len(free := order[times[order] < room[order]]):
                fewest = free[times[free] == times[free].min()]  # what found no room falls to them, one each
                times[fewest[:short]] += 1
    return np.repeat(np.arange(len(labels)), times)
