"""Neighbours and class probabilities out of fold, and the files in which embed leaves them; needs no PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import class_names
from winnow.pipeline.files import read_table
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
    probability = _array(table, "probability", path, np.float32, axes=2)
    if not ((np.isnan(probability)) | ((probability >= 0) & (probability <= 1))).all():
        raise UserError(f"{path}: probabilities must lie in [0, 1]; run `dvc checkout --force {path}`")
    if table["id"].to_pylist() != samples["id"].to_pylist() or probability.shape[1:] != (len(class_names(samples)),):
        raise UserError(f"{path} is about other images or classes than the dataset holds; run `dvc repro`")
    return probability


def _array(table: pa.Table, name: str, path: Path, kind: type[Any], *, axes: int) -> npt.NDArray[Any]:
    """A column of lists as an array; every row as long as the others."""
    try:
        array = np.array(table[name].to_pylist(), dtype=kind)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.ndim != axes:
        raise UserError(f"{path}: column {name} must hold equal lists; run `dvc checkout --force {path}`")
    return array
