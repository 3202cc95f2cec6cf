"""Neighbours and class probabilities out of fold, and the files in which embed leaves them; needs no PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    distance = _array(table, "distances", path, np.float32, axes=3)  # (N, R, k)
    named = _array(table, "neighbours", path, np.str_, axes=3)
    if named.shape != distance.shape or not np.isfinite(distance).all():
        raise UserError(f"{path}: neighbours and distances do not go together; run `dvc checkout --force {path}`")
    ids = samples["id"].to_pylist()
    if table["id"].to_pylist() != ids:
        raise UserError(f"{path} is about other images than the dataset holds; run `dvc repro`")
    row_of = {identifier: row for row, identifier in enumerate(ids)}
    try:
        by_image = [[[row_of[one] for one in repeat] for repeat in rows] for rows in named.tolist()]
    except KeyError as error:
        raise UserError(f"{path} names the image {error}, which the dataset lacks; run `dvc repro`") from None
    return Neighbours(np.array(by_image, dtype=np.int64).transpose(1, 0, 2), distance.transpose(1, 0, 2))


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
    rows = pa.array(probability.astype(np.float64).tolist(), pa.list_(pa.float64()))
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
    values = table[name].combine_chunks()
    width = pc.max(pc.list_value_length(values)).as_py() if pa.types.is_list(values.type) else None
    if isinstance(values, pa.FixedSizeListArray):
        width = values.type.list_size
    flat = values.flatten() if width else pa.array([], pa.float32())
    if not width or len(flat) != len(table) * width or not pa.types.is_floating(flat.type):
        raise UserError(f"{path}: column {name} must hold equal lists; run `dvc checkout --force {path}`")
    found: Points = flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(table), width)
    return found


def _array(table: pa.Table, name: str, path: Path, kind: type[Any], *, axes: int) -> npt.NDArray[Any]:
    """A column of lists as an array; every row as long as the others."""
    try:
        array = np.array(table[name].to_pylist(), dtype=kind)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.ndim != axes:
        raise UserError(f"{path}: column {name} must hold equal lists; run `dvc checkout --force {path}`")
    return array
