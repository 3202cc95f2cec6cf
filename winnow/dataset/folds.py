"""Deal images into folds, so that each image is judged by networks that were not trained on it.

A group shares a fold, whatever its labels: a duplicate or a near-duplicate among the training images would give the
label away. A class that was enlarged by filing its images twice is thus judged as if each image were there once.

The groups of a class stand in the order of a hash of what names them, and are cut into equal parts. A new image shifts
the places of those after it by one, so that few others change their folds: what was computed of the rest still holds.
"""

import hashlib
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def deal_folds(
    labels: Indices, groups: Sequence[Hashable], *, folds: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """(N,) fold of each image; the groups of a class are spread as evenly as those with several labels allow.

    A fold is empty only if there are fewer groups than folds.

    Args:
        labels: (N,) class indices.
        groups: (N,) equal for images that belong together, such as equal pixel hashes; what names them as text is
            hashed.
        folds: number of folds.
        rng: of the salt of the hashes: one number is drawn.

    Time O(N log N).
    """
    salt = int(rng.integers(2**63))
    number = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    place_of = np.array([number[group] for group in groups], dtype=np.int64)  # (N,)
    class_of = np.full(len(number), np.iinfo(np.int64).max)
    np.minimum.at(class_of, place_of, labels)  # of several labels the first, whatever the order of the images
    hashes = np.array([_hash(salt, group) for group in number], dtype=np.uint64)
    fold_of = _cut(class_of, hashes, folds)
    _fill_empty(fold_of, hashes, folds)
    dealt: Indices = fold_of[place_of]
    return dealt


def _hash(salt: int, group: Hashable) -> int:
    return int.from_bytes(hashlib.blake2b(f"{salt} {group}".encode(), digest_size=8).digest())


def _cut(class_of: Indices, hashes: npt.NDArray[np.uint64], folds: int) -> Indices:
    """(G,) fold of each group: its place in its class, in parts, counted on from class to class.

    Else classes of one group would all lie in the first fold.
    """
    order = np.lexsort((hashes, class_of))
    _, class_number, counts = np.unique(class_of, return_inverse=True, return_counts=True)
    starts = np.cumsum(counts) - counts
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - starts[class_number[order]]
    return (ranks * folds // counts[class_number] + class_number) % folds


def _fill_empty(fold_of: Indices, hashes: npt.NDArray[np.uint64], folds: int) -> None:
    """Give every empty fold a group of the fullest one, the last by hash; it is wanted of tiny sources alone."""
    counts = np.bincount(fold_of, minlength=folds)
    while not counts.all() and counts.max(initial=0) > 1:
        inside = np.flatnonzero(fold_of == counts.argmax())
        fold_of[inside[hashes[inside].argmax()]] = counts.argmin()
        counts = np.bincount(fold_of, minlength=folds)
