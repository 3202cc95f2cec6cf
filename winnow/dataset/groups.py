"""Groups of images that belong together: what they say of one another's labels, and one vote for each of them."""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

BLOCK = 4096  # images whose neighbours are compared at once


def group_numbers(groups: Sequence[Hashable]) -> npt.NDArray[np.int64]:
    """(N,) number of each image's group, counted from 0 in the order of their first images."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64)


def group_agreement(groups: Sequence[Hashable], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(N,) share of the other images of an image's group that carry its label; NaN for an image alone in its group.

    Below 1 the group contradicts itself, and the lower, the more of it speaks against this image.

    Args:
        groups: (N,) equal for images that belong together.
        labels: (N,) class indices.
    """
    numbers = group_numbers(groups)
    pairs = numbers * (int(labels.max(initial=0)) + 1) + labels  # (N,) a number for each group and label
    _, place, alike = np.unique(pairs, return_inverse=True, return_counts=True)
    others = np.bincount(numbers)[numbers] - 1  # (N,)
    agreeing = alike[place] - 1  # (N,)
    shares = np.full(len(numbers), np.nan)
    np.divide(agreeing, others, out=shares, where=others > 0)
    return shares


def one_vote_each(groups: Sequence[Hashable], neighbours: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(M, K) weights by which each group among an image's neighbours has one vote: 1 / its images among them.

    Args:
        groups: (N,) equal for images that belong together.
        neighbours: (M, K) rows of ``groups``.

    Time O(N + M K^2), memory O(N + M K).
    """
    near, weights = group_numbers(groups)[neighbours], np.empty(neighbours.shape)  # (M, K)
    for start in range(0, len(near), BLOCK):
        part = near[start : start + BLOCK]
        weights[start : start + BLOCK] = 1.0 / (part[:, :, None] == part[:, None, :]).sum(axis=2)
    return weights
