"""Draws of a few images of many, by class."""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Indices = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


def some_of(rows: Indices, most: int, seed: int) -> Indices:
    """The rows, or so many of them, drawn at random, in order; 0: all."""
    if not most or len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def some_by_hash(rows: Indices, hashes: Hashes, most: int, seed: int) -> Indices:
    """The rows, or so many of them, in order, as hashes and seed say: draws from similar datasets share images.

    Args:
        rows: ascending.
        hashes: (N,) of all images, as ``id_hashes`` gives them.
        most: rows; 0: all.
        seed: of the draw.
    """
    if not most or len(rows) <= most:
        return rows
    return np.sort(rows[np.argsort(reshuffled(hashes[rows], seed), kind="stable")[:most]])


def id_hashes(ids: pa.ChunkedArray) -> Hashes:
    """(N,) a number of each image, from its id."""
    digests = (hashlib.blake2b(identifier.as_buffer(), digest_size=8).digest() for identifier in ids)
    return np.frombuffer(b"".join(digests), np.uint64)


def reshuffled(hashes: Hashes, seed: int) -> Hashes:
    """(N,) numbers in another order for every seed: the hashes moved on by it, then mixed.

    The mixing is that of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
    2014, figure 15), so that equal hashes and they alone stay equal.
    """
    mixed = hashes + np.uint64(0x9E3779B97F4A7C15 * (seed + 1) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def in_turn(labels: Indices, count: int, rng: np.random.Generator) -> Indices:
    """At most ``count`` rows, ascending: one of every class in turn.

    Args:
        labels: (N,) class indices.
        count: rows.
        rng: of each class's order.

    Time O(N log N), whatever the number of classes.
    """
    if not len(labels):
        return np.empty(0, dtype=np.int64)
    order = np.concatenate([rng.permutation(rows) for rows in rows_by_class(labels)])
    counts = np.bincount(labels[order])
    starts = np.cumsum(counts) - counts
    turn = np.arange(len(order)) - starts[labels[order]]  # of each within its class
    return np.sort(order[np.lexsort((labels[order], turn))][:count])


def rows_by_class(labels: Indices) -> list[Indices]:
    """The rows of each class that has any, ascending, in one pass over the images."""
    order = np.argsort(labels, kind="stable")
    found: list[Indices] = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return found if len(labels) else []
