"""Near-duplicates: images that are one photograph, re-encoded, resized, cropped, brightened or turned a little.

    perceptual_hash   256 bits of each image and of two crops of it      96 bytes an image
    candidates        the nearest images by the bits that differ         all pairs, of many those that share a bucket
    confirm           the candidates that show the same details          thumbnails of candidates only
    groups            what hangs together, by the number of its first image

Only hashes are kept of all images. Feature distance does not tell the next frame of an object from a copy: under
EfficientNet-Lite0 different photographs of a hand (the sign digits) have cosines beyond 0.9, and copies 0.71 and more.
So ``winnow.intake.registration`` decides. It holds for photographs; in line art different drawings look alike.
"""

from collections.abc import Callable, Hashable, Sequence

import faiss
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from winnow.intake.hash_tables import near_by_tables
from winnow.intake.registration import likeness

Bits = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]

RADIUS = 68  # bits of 256 in which two candidates differ at most; of 2,400 planted copies 2,398 are within 64
NEAREST = 16  # candidates of an image and crop at most, so that images which all look alike give no N * N pairs
EXACT = 20_000  # images up to which comparing all with all takes seconds
# Of a copy, at least: 2,395 of 2,400 planted copies have it, other photographs of an object up to 0.63, other hands at
# 64 pixels up to 0.88; of line art other drawings have more than 0.9.
LIKENESS = 0.9
BLOCK = 1024  # pairs whose thumbnails are in memory at a time


def candidates(hashes: Bits, *, radius: int = RADIUS, nearest: int = NEAREST, exact: int = EXACT) -> Rows:
    """(P, 2) pairs, each once, smaller row first: one image's crop differs from the other image in few bits.

    Args:
        hashes: (N, 3, B) of ``perceptual_hash``.
        radius: bits that may differ.
        nearest: of the images within the radius, so many of each image's crop.
        exact: images up to which all are compared with all; among more, ``near_by_tables`` may miss a pair.
    """
    known = np.flatnonzero(hashes.any((1, 2)))
    if len(known) < 2:
        return np.empty((0, 2), np.int64)
    search = _every if len(known) <= exact else near_by_tables
    most = min(nearest + 1, len(known))  # an image finds itself
    crops = [np.ascontiguousarray(hashes[known, crop]) for crop in range(hashes.shape[1])]
    found = [search(crops[0], crop, radius=radius, nearest=most) for crop in crops]
    pairs = np.sort(known[np.concatenate(found)], axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def _every(index: Bits, asked: Bits, *, radius: int, nearest: int) -> Rows:
    """As ``near_by_tables``, by comparing all with all."""
    flat = faiss.IndexBinaryFlat(8 * index.shape[1])
    flat.add(index)
    distances, rows = flat.search(asked, nearest)
    query, place = np.nonzero((distances <= radius) & (rows >= 0))
    return np.stack([query, rows[query, place]], axis=1)


def confirm(pairs: Rows, thumbnails: Callable[[Rows], Bits], *, threshold: float = LIKENESS) -> Rows:
    """(Q, 2) the pairs whose images show the same details, in the order of groups of candidates.

    Args:
        pairs: (P, 2) of ``candidates``.
        thumbnails: of (M,) different rows in ascending order, the (M, SIDE, SIDE) of ``registration.thumbnail``;
            called once a block of pairs, with the rows of that block alone.
        threshold: of ``registration.likeness``.
    """
    if not len(pairs):
        return pairs
    order = np.argsort(
        groups(int(pairs.max()) + 1, pairs)[pairs[:, 0]], kind="stable"
    )  # an image is read once or twice
    kept = []
    for start in range(0, len(pairs), BLOCK):
        block = pairs[order[start : start + BLOCK]]
        rows, places = np.unique(block, return_inverse=True)
        pictures = thumbnails(rows)
        for pair, (one, other) in zip(block, places.reshape(block.shape), strict=True):
            if likeness(pictures[one], pictures[other]) >= threshold:
                kept.append(pair)
    return np.array(kept, np.int64).reshape(-1, 2)


def same(keys: Sequence[Hashable]) -> Rows:
    """(P, 2) pairs that join what has equal keys, each row with the first of its key; None joins nothing."""
    first: dict[Hashable, int] = {}
    joined = [(first.setdefault(key, row), row) for row, key in enumerate(keys) if key is not None]
    return np.array([pair for pair in joined if pair[0] != pair[1]], np.int64).reshape(-1, 2)


def groups(count: int, pairs: Rows) -> Rows:
    """(N,) row of the first image of each image's group: whatever a chain of pairs joins.

    Args:
        count: images.
        pairs: (P, 2) rows; several kinds of pairs are concatenated, so that their groups merge.
    """
    ones = np.ones(len(pairs), np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first, place = np.unique(component, return_index=True, return_inverse=True)
    return np.asarray(first[place], np.int64)
