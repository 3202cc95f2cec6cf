"""How much nearer an image's neighbours of one class are than its neighbours of all others, class by class.

The mean similarity to the k nearest images of a class, minus that to the k nearest of other classes. It is a label's
evidence from the features alone; for labels that are not the image's own, it says what they would have. Source: the
relative distance of SelfClean (Gröger et al. 2023), with the means of k neighbours for the nearest, and for any class.

A group of near-duplicates has one vote, and does not vouch for its own images; it contradicts them, though, where it
carries other labels.

Beyond ``VOTERS`` groups a sample of each class votes, so that time grows with the images and not with their square. An
index of nearest neighbours would not do: the k nearest of a class are wanted for every class, far ones too, since
planted faults are read on all of them.
"""

import numpy as np
import numpy.typing as npt

from winnow.pipeline.scratch import scratch_array

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]

BLOCK = 1024  # images whose similarities to all voters are in memory
VOTERS = 20_000  # that vote at most, beside LEAST_VOTERS of each class
LEAST_VOTERS = 16  # of a class, where it has so many
FAR = -2.0  # below any cosine: what does not vote
NEAREST = 64  # of all voters that are ranked, beside those that are counted; a class seldom holds all of them


def unit_features(features: Features) -> Features:
    """(N, D) rows of unit length, standardised first: a feature that is large everywhere says nothing."""
    mean, spread = _moments(features)
    spread = np.where(spread > 0, spread, 1)
    unit: Features = scratch_array(features.shape, np.float32)
    for start in range(0, len(features), BLOCK):  # so that no further array is as large
        scaled = (features[start : start + BLOCK] - mean) / spread
        length = np.linalg.norm(scaled, axis=1, keepdims=True)
        unit[start : start + BLOCK] = scaled / np.where(length > 0, length, 1)
    return unit


def _moments(features: Features) -> tuple[Array, Array]:
    """(D,) mean and standard deviation of the columns, summed a block of rows at a time."""
    blocks = [slice(start, start + BLOCK) for start in range(0, len(features), BLOCK)]
    nothing, count = np.zeros(features.shape[1]), max(1, len(features))
    mean = sum((features[rows].sum(axis=0, dtype=np.float64) for rows in blocks), start=nothing) / count
    squares = sum((np.square(features[rows] - mean).sum(axis=0) for rows in blocks), start=nothing)
    return mean, np.sqrt(squares / count)


def class_contrasts(
    features: Features, labels: Indices, groups: Indices, voters: npt.NDArray[np.bool_], *, classes: int, k: int
) -> Array:
    """(N, K) for every image and class; NaN where a class, or all others, have no voter.

    Args:
        features: (N, D) rows of unit length.
        labels: (N,) class indices.
        groups: (N,) equal for images that belong together.
        voters: (N,) images that vote: no copies.
        classes: K.
        k: nearest voters of each class and of the others; fewer where there are fewer.

    Time O(N V D + N K k) for V voters, at most VOTERS + K LEAST_VOTERS; memory 8 N K bytes and O(V (BLOCK + D)).
    """
    voting = _some_of_each(_one_a_group(labels, groups, voters), labels)
    voted, theirs, voter_features = labels[voting], groups[voting], features[voting]
    members = [np.flatnonzero(voted == label) for label in range(classes)]
    result: Array = scratch_array((len(labels), classes), np.float64)
    result.fill(np.nan)
    for start in range(0, len(features), BLOCK):
        rows = slice(start, start + BLOCK)
        similarity = features[rows] @ voter_features.T  # (n, V)
        own = groups[rows, None] == theirs[None]
        # Of its own group an image hears those alone that contradict the label asked for.
        others = _Others(np.where(own & (labels[rows, None] == voted[None]), FAR, similarity), voted, k)
        similarity[own] = FAR
        for label, inside in enumerate(members):
            if len(inside) and len(inside) < len(voted):
                result[rows, label] = _nearest_mean(similarity[:, inside], k) - others.nearest_mean(label)
    return result


class _Others:
    """Mean similarity to the nearest voters that are not of a class: by the few nearest of all, where these suffice."""

    def __init__(self, similarity: npt.NDArray[np.float32], voted: Indices, k: int) -> None:
        self.similarity, self.voted, self.k = similarity, voted, k
        most = min(similarity.shape[1], k + NEAREST)
        order = np.argpartition(similarity, similarity.shape[1] - most, axis=1)[:, -most:]
        values = np.take_along_axis(similarity, order, axis=1)
        ranked = np.argsort(-values, axis=1, kind="stable")
        self.values = np.take_along_axis(values, ranked, axis=1)  # (n, most), the nearest first
        self.labels = voted[np.take_along_axis(order, ranked, axis=1)]
        self.means, self.short = self._means(np.arange(len(similarity)), None)  # over the k nearest of all classes

    def nearest_mean(self, label: int) -> Array:
        """(n,) over the k nearest of the other classes."""
        mean, short = self.means.copy(), self.short.copy()
        # Few images have one of the class among their nearest, so that classes are many and cheap.
        near = np.flatnonzero((self.labels[:, : self.k] == label).any(axis=1))
        mean[near], short[near] = self._means(near, label)
        if short.any():
            mean[short] = _nearest_mean(self.similarity[np.ix_(short, self.voted != label)], self.k)
        return mean

    def _means(self, rows: Indices, label: int | None) -> tuple[Array, npt.NDArray[np.bool_]]:
        """(m,) means of some rows over the k nearest that are not of a class, and where the ranked ones are too few."""
        values = self.values[rows]
        other = self.labels[rows] != label if label is not None else np.ones(values.shape, dtype=bool)
        counted = other & (np.cumsum(other, axis=1) <= self.k)
        mean: Array = np.where(counted, values, 0).astype(np.float64).sum(axis=1) / self.k
        short = (counted.sum(axis=1) < self.k) | (np.where(counted, values, 1.0).min(axis=1, initial=1.0) <= FAR)
        return mean, short


def _some_of_each(rows: Indices, labels: Indices) -> Indices:
    """The rows, or about ``VOTERS`` of them, in order: of every class as large a share, drawn at random."""
    if len(rows) <= VOTERS:
        return rows
    rng, share = np.random.default_rng(0), VOTERS / len(rows)
    order = rng.permutation(rows)
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels[order])
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)  # of each within its class
    kept = np.minimum(counts, np.maximum(LEAST_VOTERS, np.ceil(share * counts))).astype(np.int64)
    return np.sort(order[rank < np.repeat(kept, counts)])


def _one_a_group(labels: Indices, groups: Indices, voters: npt.NDArray[np.bool_]) -> Indices:
    """Rows that vote: the first voter of each group and label."""
    rows = np.flatnonzero(voters)
    _, first = np.unique(np.stack([groups[rows], labels[rows]]), axis=1, return_index=True)
    return rows[np.sort(first)]


def _nearest_mean(similarity: npt.NDArray[np.float32], k: int) -> Array:
    """(n,) mean of the k largest; of fewer where fewer vote, NaN where none does."""
    most = min(k, similarity.shape[1])
    largest = np.partition(similarity, similarity.shape[1] - most, axis=1)[:, -most:].astype(np.float64)
    counted = largest > FAR
    count = counted.sum(axis=1)
    total = np.where(counted, largest, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
