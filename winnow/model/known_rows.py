"""Which rows of features a folder holds, by a digest of all that a row depends on, so that none is computed twice."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from winnow.pipeline.files import Columns, read_table, schema_of, write_table
from winnow.pipeline.messages import UserError

KNOWN = "rows.parquet"
KNOWN_COLUMNS: Columns = {
    "key": (pa.string(), "digest of the model, weights, code and the image's pixels: all that features depend on"),
    "array": (pa.string(), "file beside the table that holds the features"),
    "row": (pa.int64(), "row in this file"),
}
KNOWN_SCHEMA = schema_of(KNOWN_COLUMNS)

Place = tuple[str, int]  # name of a file, row
Known = Mapping[str, Place]
NONE: Known = {}


def known_rows(folder: Path, there: Collection[str]) -> Known:
    """By key, the rows of an earlier run whose files are there; none where their table is missing or damaged.

    A file's name is a digest of its rows' keys, so that a table of another run names no file by mistake.
    """
    try:
        table = read_table(folder / KNOWN, KNOWN_SCHEMA)
    except UserError:
        return NONE
    columns = (table[name].to_pylist() for name in ("key", "array", "row"))
    return {key: (array, row) for key, array, row in zip(*columns, strict=True) if array in there}


def write_known(folder: Path, places: Sequence[tuple[str, str, int]], keys: Sequence[str]) -> None:
    """Write the table, of the id, file and row of each image and of the keys; there is none of no images."""
    if not keys:
        (folder / KNOWN).unlink(missing_ok=True)
        return
    _, names, rows = zip(*places, strict=True)
    columns = [pa.array(column, kind) for column, kind in zip((keys, names, rows), KNOWN_SCHEMA.types, strict=True)]
    write_table(folder / KNOWN, pa.Table.from_arrays(columns, schema=KNOWN_SCHEMA))
