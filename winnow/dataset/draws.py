"""Draws of a few images of many, by class."""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Indices = npt.NDArray[np.int64]


def some_of(rows: Indices, most: int, seed: int) -> Indices:
    """The rows, or so many of them, drawn at random, in order; 0: all."""
    if not most or len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def some_by_id(rows: Indices, ids: pa.ChunkedArray, most: int, seed: int) -> Indices:
    """The rows, or so many of them, in order, as their ids and the seed say: draws from similar datasets share images.

    Args:
        rows: ascending.
        ids: (N,) of all images.
        most: rows; 0: all.
        seed: of the draw.
    """
    if not most or len(rows) <= most:
        return rows
    order = np.argsort(id_draws(ids.take(pa.array(rows)), seed), kind="stable")
    return np.sort(rows[order[:most]])


def id_draws(ids: pa.ChunkedArray, seed: int) -> npt.NDArray[np.uint64]:
    """(N,) a number of each image, from its id and the seed."""
    prefix = hashlib.blake2b(f"{seed} ".encode(), digest_size=8)
    found = bytearray()
    for identifier in ids:
        one = prefix.copy()
        one.update(identifier.as_buffer())
        found += one.digest()
    return np.frombuffer(found, np.uint64)


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
