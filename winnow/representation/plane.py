"""Embeddings in two dimensions, for people to look at and for the rules that need a plane."""

import numpy as np
import numpy.typing as npt
from openTSNE import TSNE
from sklearn.neighbors import NearestNeighbors

Points = npt.NDArray[np.float32]


Plane = npt.NDArray[np.float64]


PERPLEXITY = 30.0


NEAREST = 10  # laid-out points whose median is the place of a further point


def plane(points: Points, *, seed: int, placed: Points | None = None) -> tuple[Plane, Plane]:
    """(N, 2) t-SNE of the points (van der Maaten & Hinton 2008), and (M, 2) places of others among them.

    Equal for equal arguments. One thread: several give equal bytes as well, but wait for one another, and where other
    programs run they take up to three times as long.
    Fewer than four points are laid on a line, and so are points that are all equal.

    Args:
        points: (N, D), laid out.
        seed: of the start.
        placed: (M, D), put at the median of their nearest laid-out points, which do not move.
    """
    count = len(points)
    others = np.zeros((0, points.shape[1]), np.float32) if placed is None else placed
    if count < 4 or not np.ptp(points, axis=0).any():
        laid = np.stack([np.arange(count, dtype=np.float64), np.zeros(count)], axis=1)
    else:
        perplexity = min(PERPLEXITY, (count - 1) / 3)
        method = TSNE(perplexity=perplexity, initialization="pca", random_state=seed, n_jobs=1, neighbors="exact")
        laid = np.asarray(method.fit(points.astype(np.float64)), dtype=np.float64)
    if not len(others):
        return laid, np.zeros((0, 2))
    search = NearestNeighbors(n_neighbors=min(NEAREST, count), algorithm="brute").fit(points)
    return laid, np.median(laid[search.kneighbors(others, return_distance=False)], axis=1)
