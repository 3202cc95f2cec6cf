"""Deal images into folds, so that each is judged by networks that never saw it.

Equal images share a fold, whatever they are labelled: a twin among those that a network learnt from would give it the
answer. A class that was filled up by filing its images twice is thus judged as if each were there once.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def deal_folds(
    labels: npt.NDArray[np.int64], pixel_hashes: Sequence[str], *, folds: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """(N,) fold of each image, its class's different images spread as evenly as shared twins allow.

    A fold is empty only where different images are fewer than folds.

    Args:
        labels: (N,) class indices.
        pixel_hashes: (N,) equal for equal images.
        folds: how many.
        rng: deals.
    """
    fold_of: dict[str, int] = {}
    start = int(rng.integers(folds))
    for label in np.unique(labels):
        for row in rng.permutation(np.flatnonzero(labels == label)).tolist():
            # The next one goes on where this one ended, over classes too, so that small classes leave no fold empty.
            fold_of.setdefault(pixel_hashes[row], (start + len(fold_of)) % folds)
    return np.array([fold_of[name] for name in pixel_hashes], dtype=np.int64)
