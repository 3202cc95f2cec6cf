"""Neighbours and the plane, ours against scikit-learn's own, at two sizes."""

from functools import partial

import numpy as np
import numpy.typing as npt
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from bench.timing import Figure, figure, interleaved, ratios
from winnow.representation.neighbours import nearest
from winnow.representation.plane import plane

SIZES, DIMENSIONS, K = (2000, 5000), 64, 10


def measure(*, images: int, rounds: int) -> list[Figure]:
    """Ratios at 2,000 and 5,000 points; ``images`` is for the other benchmarks."""
    found = []
    for count in SIZES:
        points = _clusters(count)
        rows = np.arange(count)

        def plain(points: npt.NDArray[np.float32] = points) -> None:
            NearestNeighbors(n_neighbors=K + 1).fit(points).kneighbors(points)

        times = interleaved({"ours": partial(nearest, points, rows, rows, K), "theirs": plain}, rounds=min(rounds, 3))
        found += [
            figure(f"{K} neighbours of {count} points", times["ours"], "s"),
            figure(
                f"{K} neighbours of {count}: scikit-learn's own choice over it", ratios(times, "theirs", "ours"), "x"
            ),
        ]
        laid = interleaved(
            {
                "ours": partial(plane, points, np.zeros(count, np.int64), seed=0),
                "theirs": partial(TSNE(init="pca", random_state=0, n_jobs=1).fit_transform, points),
            },
            rounds=1,
        )
        found += [
            figure(f"t-SNE of {count} points", laid["ours"], "s"),
            figure(f"t-SNE of {count}: scikit-learn's over it", ratios(laid, "theirs", "ours"), "x", at_least=1.0),
        ]
    return found


def _clusters(count: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, DIMENSIONS))
    points = centres[rng.integers(10, size=count)] + 0.3 * rng.normal(size=(count, DIMENSIONS))
    unit: npt.NDArray[np.float32] = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return unit
