"""The nearest images by the features of a frozen model, for images that no round embedded since they were dropped."""

import threading
from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.dataset.arrays import ArrayStore, gather
from winnow.review.signals import NEIGHBOURS_SHOWN, Near

FEATURES = "data/features"


class Nearest:
    """Neighbours by cosine similarity; the features are read when they are asked for first."""

    def __init__(self, root: Path, ids: Collection[str]) -> None:
        """The neighbours.

        Args:
            root: the repository.
            ids: of the images that may be neighbours of one another.
        """
        self._folder, self._wanted = root / FEATURES, ids
        self._lock = threading.Lock()
        self._read: tuple[list[str], npt.NDArray[np.float32]] | None = None

    def of(self, identifier: str) -> Near:
        """The nearest other images, the nearest first; none where there are no features of the image.

        Raises:
            UserError: the features are damaged.
        """
        with self._lock:
            if self._read is None:
                self._read = self._features()
        ids, unit = self._read
        if identifier not in ids:
            return ()
        own = ids.index(identifier)
        similarity = unit @ unit[own]  # (N,)
        similarity[own] = -np.inf
        nearest = np.argsort(-similarity, kind="stable")[: min(NEIGHBOURS_SHOWN, len(ids) - 1)]
        return tuple((ids[row], float(similarity[row])) for row in nearest.tolist())

    def _features(self) -> tuple[list[str], npt.NDArray[np.float32]]:
        """Ids, and (N, D) features of length 1."""
        store = ArrayStore(self._folder)
        ids = [one for one in self._wanted if one in store]
        if not ids:
            return [], np.zeros((0, 0), np.float32)
        features = gather([store], ids, where=self._folder).astype(np.float32, copy=False).reshape(len(ids), -1)
        length = np.linalg.norm(features, axis=1, keepdims=True)
        features /= np.maximum(length, np.finfo(np.float32).tiny)  # in place: they may be most of the memory
        return ids, features
