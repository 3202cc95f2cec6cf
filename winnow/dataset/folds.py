"""Deal images into folds, so that each image is judged by networks that were not trained on it.

Equal images share a fold, whatever their labels: a duplicate among the training images would give the label away. A
class that was enlarged by filing its images twice is thus judged as if each image were there once.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def deal_folds(
    labels: npt.NDArray[np.int64], pixel_hashes: Sequence[str], *, folds: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """(N,) fold of each image; the distinct images of a class are spread as evenly as shared duplicates allow.

    A fold is empty only if there are fewer distinct images than folds.

    Args:
        labels: (N,) class indices.
        pixel_hashes: (N,) equal for equal images.
        folds: number of folds.
        rng: of the random order.
    """
    fold_of: dict[str, int] = {}
    start = int(rng.integers(folds))
    for label in np.unique(labels):
        for row in rng.permutation(np.flatnonzero(labels == label)).tolist():
            # Folds are counted on from class to class, so that small classes leave no fold empty.
            fold_of.setdefault(pixel_hashes[row], (start + len(fold_of)) % folds)
    return np.array([fold_of[name] for name in pixel_hashes], dtype=np.int64)
