"""Neighbours and class probabilities out of fold, and the files in which embed leaves them; needs no PyTorch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import class_names, label_indices
from winnow.pipeline.files import Columns, read_table, write_table
from winnow.pipeline.messages import UserError

Points = npt.NDArray[np.float32]


Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Neighbours:
    """The nearest source images of every image, by repeat, nearest first."""

    index: Indices  # (R, N, k) rows of the images
    distance: Points  # (R, N, k) Euclidean, between unit vectors


def read_neighbours(path: Path, samples: pa.Table) -> Neighbours:
    """The neighbours that embed found, as rows of the samples.

    Raises:
        UserError: they are those of another dataset.
    """
    table = read_table(path, columns=["id", "neighbours", "distances"])
    flat, shape = _nested(table, "distances", path)
    if not pa.types.is_floating(flat.type):
        raise _unequal(path, "distances")
    distance = flat.to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(shape)  # (N, R, k)
    named, same = _nested(table, "neighbours", path)  # an array of strings would need a Python object for each
    if same != shape or not np.isfinite(distance).all():
        raise UserError(f"{path}: neighbours and distances do not go together; run `dvc checkout --force {path}`")
    if not table["id"].equals(samples["id"]):
        raise UserError(f"{path} is about other images than the dataset holds; run `dvc repro`")
    rows = pc.index_in(named, value_set=samples["id"].combine_chunks())
    if rows.null_count:
        unknown = named.filter(rows.is_null())[0].as_py()
        raise UserError(f"{path} names the image {unknown!r}, which the dataset lacks; run `dvc repro`")
    index = rows.to_numpy().astype(np.int64).reshape(shape)
    return Neighbours(index.transpose(1, 0, 2), distance.transpose(1, 0, 2))


NEIGHBOURS: Columns = {
    "id": (pa.string(), "of a source image or a copy"),
    "neighbours": (pa.list_(pa.list_(pa.string())), "by repeat, the ids of the nearest source images, nearest first"),
    "distances": (pa.list_(pa.list_(pa.float32())), "by repeat, their Euclidean distances"),
}


def write_neighbours(path: Path, samples: pa.Table, neighbours: Neighbours) -> None:
    """Write the neighbours of the samples, from arrays: without a Python object a value."""
    ids, by_image = samples["id"].combine_chunks(), neighbours.index.transpose(1, 0, 2)  # (N, R, k)
    values = {
        "neighbours": ids.take(pa.array(by_image.ravel())),
        "distances": pa.array(neighbours.distance.transpose(1, 0, 2).astype(np.float32, copy=False).ravel()),
    }
    _, repeats, k = by_image.shape
    columns = {name: _lists(_lists(flat, k), repeats) for name, flat in values.items()}
    write_table(path, pa.table({"id": ids, **columns}))


def _lists(values: pa.Array, width: int) -> pa.ListArray:
    """The values in lists of one width."""
    offsets = np.arange(0, len(values) + 1, width, dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def read_probabilities(path: Path, samples: pa.Table) -> Points:
    """(N, K) class probabilities of the samples, by embed's classifiers.

    Raises:
        UserError: it is about another dataset.
    """
    table = read_table(path, columns=["id", "probability"])
    probability = _matrix(table, "probability", path)
    if not ((np.isnan(probability)) | ((probability >= 0) & (probability <= 1))).all():
        raise UserError(f"{path}: probabilities must lie in [0, 1]; run `dvc checkout --force {path}`")
    if table["id"].to_pylist() != samples["id"].to_pylist() or probability.shape[1:] != (len(class_names(samples)),):
        raise UserError(f"{path} is about other images or classes than the dataset holds; run `dvc repro`")
    return probability


CLASSES: Columns = {
    "id": (pa.string(), "of a source image or a copy"),
    "probability": (pa.list_(pa.float32()), "K values in the order of the classes, out of fold; NaN: unknown"),
}


def write_probabilities(path: Path, samples: pa.Table, probability: Points) -> None:
    """Write (N, K) class probabilities of the samples."""
    flat = pa.array(probability.astype(np.float32).ravel())
    values = pa.FixedSizeListArray.from_arrays(flat, probability.shape[1])
    write_table(path, pa.table({"id": samples["id"].combine_chunks(), "probability": values}))


PLANTED: Columns = {
    "label": (pa.string(), "that the junk is planted with, drawn by the labels' frequencies"),
    "probability": (pa.list_(pa.float64()), "K values in the order of the classes"),
}


def write_planted(path: Path, probability: Points, samples: pa.Table, rng: np.random.Generator) -> None:
    """Write what classifiers give planted junk, and the labels that it is planted with.

    Args:
        path: of the table.
        probability: (J, K).
        samples: whose labels it is planted among.
        rng: of its labels.
    """
    names = class_names(samples)
    drawn = rng.choice(label_indices(samples), size=len(probability))
    rows = _lists(pa.array(probability.astype(np.float64).ravel()), len(names))
    write_table(path, pa.table({"label": pa.array([names[one] for one in drawn], pa.string()), "probability": rows}))


def read_planted(path: Path, samples: pa.Table) -> Points | None:
    """(J,) probability of planted junk for the label that it is planted with; None where none was planted.

    Raises:
        UserError: it has other classes than the samples.
    """
    table, names = read_table(path, columns=["label", "probability"]), class_names(samples)
    if not len(table):
        return None
    probability = _matrix(table, "probability", path)
    labels = table["label"].to_pylist()
    if probability.shape[1] != len(names) or set(labels) - set(names):
        raise UserError(f"{path} has other classes than the dataset; run `dvc repro`")
    found: Points = probability[np.arange(len(labels)), [names.index(one) for one in labels]]
    return found


def probabilities_by_id(path: Path) -> tuple[list[str], Points]:
    """Ids, and (N, K) class probabilities, as an ensemble left them.

    Raises:
        UserError: the file is damaged.
    """
    table = read_table(path, columns=["id", "probability"])
    return table["id"].to_pylist(), _matrix(table, "probability", path)


def _matrix(table: pa.Table, name: str, path: Path) -> Points:
    """A column of lists of numbers as an array, without a Python object a value; every row as long as the others."""
    flat, width = _flattened(table[name].combine_chunks(), path, name)
    if not pa.types.is_floating(flat.type):
        raise _unequal(path, name)
    found: Points = flat.to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(len(table), width)
    return found


def _nested(table: pa.Table, name: str, path: Path) -> tuple[pa.Array, tuple[int, int, int]]:
    """The values of a column of lists of lists, and its (N, R, k); every list as long as the others of its depth."""
    outer, repeats = _flattened(table[name].combine_chunks(), path, name)
    flat, k = _flattened(outer, path, name)
    if flat.null_count:
        raise _unequal(path, name)
    return flat, (len(table), repeats, k)


def _flattened(values: pa.Array, path: Path, name: str) -> tuple[pa.Array, int]:
    """The values of equal lists, and how many each has."""
    width = None
    if isinstance(values, pa.FixedSizeListArray):
        width = values.type.list_size
    elif pa.types.is_list(values.type):
        width = pc.max(pc.list_value_length(values)).as_py()
    flat = values.flatten() if width else pa.array([], pa.float32())
    if not width or len(flat) != len(values) * width:
        raise _unequal(path, name)
    return flat, width


def _unequal(path: Path, name: str) -> UserError:
    return UserError(f"{path}: column {name} must hold equal lists; run `dvc checkout --force {path}`")
