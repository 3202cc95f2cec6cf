"""Embeddings in two dimensions, for people to look at and for the rules that need a plane."""

import numpy as np
import numpy.typing as npt
from openTSNE import TSNE
from sklearn.neighbors import NearestNeighbors

from winnow.dataset.draws import in_turn

Points = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

PERPLEXITY = 30.0
AT_ONCE = 4096  # points placed at once
NEAREST = 10  # laid-out points whose median is the place of a further point


MOST = 5000  # points that are laid out; of more, as many of every class, and the others are placed among them


def plane(
    points: Points, labels: Indices, *, seed: int, placed: Points | None = None, most: int = MOST
) -> tuple[Plane, Plane]:
    """(N, 2) t-SNE of the points (van der Maaten & Hinton 2008), and (M, 2) places of others among them.

    Equal for equal arguments. One thread: several give equal bytes as well, but wait for one another, and where other
    programs run they take up to three times as long.
    Fewer than four points are laid on a line, and so are points that are all equal. Of more than ``most`` points as
    many are laid out, and the rest is placed as the others are.

    Args:
        points: (N, D), laid out.
        labels: (N,) class indices.
        seed: of the start, and of the points that are laid out.
        placed: (M, D), put at the median of their nearest laid-out points, which do not move.
        most: points that are laid out.
    """
    others = np.zeros((0, points.shape[1]), np.float32) if placed is None else placed
    if len(points) <= most:
        laid = _laid_out(points, seed)
        return laid, _among(points, laid, others)
    chosen = in_turn(labels, most, np.random.default_rng(seed))
    laid = _laid_out(points[chosen], seed)
    places = _among(points[chosen], laid, points)
    places[chosen] = laid
    return places, _among(points[chosen], laid, others)


def _laid_out(points: Points, seed: int) -> Plane:
    count = len(points)
    if count < 4 or not np.ptp(points, axis=0).any():
        return np.stack([np.arange(count, dtype=np.float64), np.zeros(count)], axis=1)
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    method = TSNE(perplexity=perplexity, initialization="pca", random_state=seed, n_jobs=1, neighbors="exact")
    return np.asarray(method.fit(points.astype(np.float64)), dtype=np.float64)


def _among(points: Points, laid: Plane, others: Points) -> Plane:
    """(M, 2) medians of the places of each one's nearest points."""
    places = np.zeros((len(others), 2))
    if len(others):
        search = NearestNeighbors(n_neighbors=min(NEAREST, len(points)), algorithm="brute").fit(points)
        for start in range(0, len(others), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            places[part] = np.median(laid[search.kneighbors(others[part], return_distance=False)], axis=1)
    return places
