"""Deal images into folds, so that each image is judged by networks that were not trained on it.

A group shares a fold, whatever its labels: a duplicate or a near-duplicate among the training images would give the
label away. A class that was enlarged by filing its images twice is thus judged as if each image were there once.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt


def deal_folds(
    labels: npt.NDArray[np.int64], groups: Sequence[Hashable], *, folds: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """(N,) fold of each image; the groups of a class are spread as evenly as those with several labels allow.

    A fold is empty only if there are fewer groups than folds.

    Args:
        labels: (N,) class indices.
        groups: (N,) equal for images that belong together, such as equal pixel hashes.
        folds: number of folds.
        rng: of the random order.
    """
    fold_of: dict[Hashable, int] = {}
    start = int(rng.integers(folds))
    for label in np.unique(labels):
        for row in rng.permutation(np.flatnonzero(labels == label)).tolist():
            # Folds are counted on from class to class, so that small classes leave no fold empty.
            fold_of.setdefault(groups[row], (start + len(fold_of)) % folds)
    return np.array([fold_of[group] for group in groups], dtype=np.int64)
