"""What a user's own model says of the images: class probabilities and embeddings, by name or id, CSV or parquet.

A row names an image by its name inside the source, or by its id; rows of other images, such as those of the test set,
are passed over. Without rows, there is nothing to join.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.intake.bounded_tables import read_bounded
from winnow.intake.truth import match_names
from winnow.pipeline.csv_rows import row_limit
from winnow.pipeline.messages import UserError, shown

KEYS = ("name", "id")  # of the column that names the images; the first that is there
LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
INDEX = re.compile(r"$|Unnamed: \d+$|__index_level_\d+__$")  # of a row's number, as pandas writes it
SUM = 0.02  # by which the probabilities of an image may miss 1

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ByImage:
    """Rows of a table, by image."""

    ids: list[str]
    values: Values  # (n, columns)
    columns: list[str]
    unknown: int  # rows that name no image


def read_predictions(path: Path, samples: pa.Table, classes: Sequence[str]) -> ByImage:
    """(n, K) class probabilities in the order of the classes.

    Args:
        path: CSV or parquet: name or id, and one column a class.
        samples: as prepared.
        classes: K names.

    Raises:
        UserError: it cannot be read, lacks a class, or holds what is no probability.
    """
    needed = {*KEYS, *(unicodedata.normalize("NFC", name) for name in classes)}
    table = _read(path, samples, lambda name: unicodedata.normalize("NFC", name) in needed)
    if not table.num_rows:
        return ByImage([], np.zeros((0, len(classes))), list(classes), 0)
    named = {unicodedata.normalize("NFC", name): name for name in table.column_names}
    missing = [name for name in classes if unicodedata.normalize("NFC", name) not in named]
    if missing:
        raise UserError(
            f"{path} has no column {shown(missing[0])}; it needs one a class, by the names of the class folders"
        )
    found = _by_image(path, table, [named[unicodedata.normalize("NFC", name)] for name in classes], samples)
    if ((found.values < 0) | (found.values > 1)).any() or (abs(found.values.sum(axis=1) - 1) > SUM).any():
        raise UserError(f"{path}: the classes' columns must hold probabilities that add up to 1, out of fold")
    return found


def read_embeddings(path: Path, samples: pa.Table) -> ByImage:
    """(n, D) embeddings.

    Args:
        path: CSV or parquet: name or id, and D columns of numbers, or one column of lists. A column with the index that
            pandas writes is passed over.
        samples: as prepared.

    Raises:
        UserError: it cannot be read, or holds what is no number.
    """
    table = _read(path, samples, lambda name: True)
    if not table.num_rows:
        return ByImage([], np.zeros((0, 0)), [], 0)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if any(kind(column.type) for kind in LISTS):
            values = _lists(path, name, column)
            names = [f"{name}_{number}" for number in range(values.shape[1])]
            key = next((one for one in KEYS if one in table.column_names), None)
            columns = {} if key is None else {key: table[key]}
            table = pa.table({**columns, **{one: values[:, n] for n, one in enumerate(names)}})
            break
    dimensions = [name for name in table.column_names if name not in KEYS and not INDEX.match(name)]
    return _by_image(path, table, dimensions, samples)


def _read(path: Path, samples: pa.Table, wanted: Callable[[str], bool]) -> pa.Table:
    return read_bounded(path, most=row_limit(samples.num_rows), wanted=wanted, texts=KEYS)


def _lists(path: Path, name: str, column: pa.ChunkedArray) -> Values:
    """(n, D) the lists of a column."""
    if len(lengths := pc.unique(pc.fill_null(pc.list_value_length(column), 0))) != 1:
        raise UserError(f"{path}: column {name} must hold lists of one length")
    try:
        flat = pc.list_flatten(column).cast(pa.float64()).to_numpy()
    except pa.ArrowException:
        raise UserError(f"{path}: column {name} must hold lists of numbers") from None
    return np.asarray(flat, np.float64).reshape(len(column), lengths[0].as_py())


def _by_image(path: Path, table: pa.Table, columns: Sequence[str], samples: pa.Table) -> ByImage:
    key = next((one for one in KEYS if one in table.column_names), None)
    if key is None:
        raise UserError(f"{path} needs a column name or id, got {shown(', '.join(table.column_names))}")
    try:
        values = np.stack([table[one].cast(pa.float64()).to_numpy() for one in columns], axis=1)
    except (pa.ArrowException, ValueError, KeyError):  # KeyError: a column that is there twice
        raise UserError(f"{path}: columns must hold numbers: {shown(', '.join(columns))}") from None
    if not np.isfinite(values).all():
        raise UserError(f"{path} has gaps or values that are no numbers; give each row all of its columns")
    listed = [unicodedata.normalize("NFC", one or "") for one in table[key].cast(pa.string()).to_pylist()]
    known = _ids(listed, samples)
    rows: dict[str, int] = {}
    for row, one in enumerate(listed):
        if one in known and rows.setdefault(known[one], row) != row:
            raise UserError(f"{path} names {shown(one)} twice; keep one of the two rows")
    if listed and not rows:
        first = shown(listed[0])
        raise UserError(
            f"{path}: none of its {len(listed)} rows names an image, {first} first; write the source's names, or ids"
        )
    return ByImage(list(rows), values[list(rows.values())], list(columns), len(listed) - len(rows))


def _ids(listed: Sequence[str], samples: pa.Table) -> Mapping[str, str]:
    """The image of each listed name or id."""
    images: list[Mapping[str, Any]] = samples.select(["id", "name"]).to_pylist()
    by_name = {image["name"]: image["id"] for image in images}
    ids = {image["id"] for image in images}
    named = match_names(listed, by_name, "")
    return {one: one if one in ids else by_name[named[one]] for one in listed if one in ids or one in named}
