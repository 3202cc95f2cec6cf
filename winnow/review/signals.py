"""What a round measured of each image, as far as the review needs it: the rest would not fit into memory.

Of the probabilities of K classes it holds the likeliest labels and those of the labels delivered and now.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.pipeline.files import read_table
from winnow.pipeline.messages import UserError
from winnow.representation.predictions import probabilities_by_id

LIKELY = 3  # labels
NEIGHBOURS_SHOWN = 8
COMPARED = 16  # nearest images of each repeat, from which those shown are taken
ROWS = 4096  # at once
NEIGHBOURS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("neighbours", pa.list_(pa.list_(pa.string())), nullable=False),
        pa.field("distances", pa.list_(pa.list_(pa.float32())), nullable=False),
    ]
)

Labels = tuple[str, str | None]  # of an image, as delivered and by the pipeline; None: dropped
Near = tuple[tuple[str, float], ...]  # ids of neighbours with their cosine similarity, nearest first


@dataclass(frozen=True, slots=True)
class Guess:
    """What networks that were not trained on an image give its labels, as probabilities."""

    likely: tuple[tuple[str, float], ...]  # the likeliest labels, the likeliest first; of equal ones the first class
    given: float  # of the label delivered
    piped: float | None  # of the label by the pipeline; None: dropped


def guesses(
    probabilities: npt.NDArray[np.floating], labels: Sequence[Labels], classes: Sequence[str]
) -> Iterator[Guess | None]:
    """The guess on each image; None where it has no probabilities.

    Args:
        probabilities: (N, K); a row with NaN is unknown.
        labels: of the N images.
        classes: K names.

    Time O(N K log K), memory O(K) beside the result.
    """
    index = {name: number for number, name in enumerate(classes)}
    for start in range(0, len(labels), ROWS):
        block = probabilities[start : start + ROWS]  # (B, K)
        order = np.argsort(-block, axis=1, kind="stable")[:, :LIKELY]  # (B, 3)
        known = np.isfinite(block).all(axis=1).tolist()  # (B,)
        best = np.take_along_axis(block, order, axis=1).tolist()
        for row, (given, piped) in enumerate(labels[start : start + ROWS]):
            if not known[row]:
                yield None
                continue
            likely = tuple((classes[k], value) for k, value in zip(order[row].tolist(), best[row], strict=True))
            now = None if piped is None else float(block[row, index[piped]])
            yield Guess(likely, float(block[row, index[given]]), now)


def read_guesses(path: Path, labels: Mapping[str, Labels], classes: Sequence[str]) -> dict[str, Guess]:
    """The guesses on images by id, without those of which nothing is known.

    Args:
        path: of the probabilities.
        labels: by id of the images that are wanted.
        classes: K names.

    Raises:
        UserError: the file is damaged, or has other classes.
    """
    ids, values = probabilities_by_id(path)
    if values.shape[1] != len(classes):
        raise UserError(f"{path} has {values.shape[1]} classes, the dataset has {len(classes)}; run `dvc repro`")
    rows = [row for row, one in enumerate(ids) if one in labels]
    wanted = [ids[row] for row in rows]
    values = values if len(rows) == len(ids) else values[rows]
    found = guesses(values, [labels[one] for one in wanted], classes)
    return {one: guess for one, guess in zip(wanted, found, strict=True) if guess is not None}


def read_near(path: Path, ids: Collection[str]) -> dict[str, Near]:
    """By id the nearest images over the repeats, by their mean similarity; those of all repeats first.

    Raises:
        UserError: the file is damaged.
    """
    table = read_table(path, NEIGHBOURS_SCHEMA)
    found: dict[str, Near] = {}
    names: dict[str, str] = {}  # one object a name
    wanted = pa.array(list(ids), pa.string())
    for batch in table.to_batches(max_chunksize=ROWS):
        mine = batch.filter(pc.is_in(batch["id"], wanted))
        parts = [_nearest_of(mine[name]) for name in ("neighbours", "distances")]
        (rows, near), (others, distances) = parts
        if not np.array_equal(rows, others):
            raise UserError(f"{path}: neighbours and distances do not go together; run `dvc checkout --force {path}`")
        similar = 1 - distances.to_numpy(zero_copy_only=False).astype(np.float64) ** 2 / 2  # of unit vectors
        found |= zip(mine["id"].to_pylist(), _ranked(rows, near, similar, mine.num_rows, names), strict=True)
    return found


def _nearest_of(lists: pa.ListArray) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Of (N, R, k) values the first of each repeat in one row, and the image that each belongs to."""
    repeats = pc.list_slice(lists.flatten(), 0, COMPARED)
    rows = pc.list_parent_indices(lists).take(pc.list_parent_indices(repeats))
    return rows.to_numpy(zero_copy_only=False), repeats.flatten()


def _ranked(
    rows: npt.NDArray[np.int64], near: pa.Array, similar: npt.NDArray[np.float64], count: int, names: dict[str, str]
) -> list[Near]:
    """For each image those named in most repeats first, then by mean similarity, then by name.

    Args:
        rows: (M,) image that an entry belongs to, below ``count``.
        near: (M,) id of a neighbour.
        similar: (M,) its similarity.
        count: images.
        names: ids seen before, to which those of the neighbours are added.
    """
    unique = pc.unique(near)
    unique = unique.take(pc.array_sort_indices(unique))  # so that places are in the order of names
    place = pc.index_in(near, value_set=unique).to_numpy(zero_copy_only=False).astype(np.int64)
    pairs, which, repeats = np.unique(rows * max(1, len(unique)) + place, return_inverse=True, return_counts=True)
    mean = np.bincount(which, weights=similar, minlength=len(pairs)) / repeats
    image, name = np.divmod(pairs, max(1, len(unique)))
    order = np.lexsort((name, -mean, -repeats, image))
    first = np.searchsorted(image[order], np.arange(count + 1))
    texts = [names.setdefault(one, one) for one in unique.to_pylist()]
    result = []
    for start, end in zip(first[:-1].tolist(), first[1:].tolist(), strict=True):
        chosen = order[start : min(end, start + NEIGHBOURS_SHOWN)]
        pairs_of = zip(name[chosen].tolist(), mean[chosen].tolist(), strict=True)
        result.append(tuple((texts[one], value) for one, value in pairs_of))
    return result
