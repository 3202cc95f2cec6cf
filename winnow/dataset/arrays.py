"""Arrays of images or of their features by id, written once and memory-mapped, so that no stage decodes a photograph.

<folder>/index.parquet    id, array, row; and what the writer adds
<folder>/<hash>.npy       (n, ...) rows of equal shape, named by their content
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.pipeline.checksums import DamagedError
from winnow.pipeline.files import Columns, read_array, read_table, schema_of, write_array, write_table
from winnow.pipeline.messages import UserError

Array = npt.NDArray[Any]

INDEX: Columns = {
    "id": (pa.string(), "of the sample"),
    "array": (pa.string(), "file beside the index that holds its row"),
    "row": (pa.int64(), "row in this file"),
}
INDEX_SCHEMA = schema_of(INDEX)
ARRAY_BYTES = 2**26  # of one file: small enough to be held while it is written, large enough to be few

Rows = tuple[Sequence[str], Array]  # n ids and their (n, ...) rows


class ArrayStore:
    """The arrays of a folder, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        """Open a folder that ``write_rows`` filled, or one that does not exist, which holds nothing.

        Raises:
            UserError: the index is damaged.
        """
        self.folder = folder
        self._maps: dict[str, Array] = {}
        self.places: dict[str, tuple[str, int]] = {}
        if (folder / "index.parquet").exists():
            index = read_table(folder / "index.parquet", INDEX_SCHEMA)
            places = zip(index["array"].to_pylist(), index["row"].to_pylist(), strict=True)
            self.places = dict(zip(index["id"].to_pylist(), places, strict=True))

    def __contains__(self, identifier: object) -> bool:
        """Whether the folder has a row of this id."""
        return identifier in self.places

    def row(self, identifier: str) -> Array:
        """The row of an id, as a view of the file.

        Raises:
            UserError: the file is missing or damaged.
        """
        name, position = self.places[identifier]
        try:
            if name not in self._maps:
                self._maps[name] = read_array(self.folder / name)
            row: Array = self._maps[name][position]
        except (DamagedError, FileNotFoundError, IndexError):
            back = f"run `dvc checkout --force {self.folder}`"
            raise UserError(f"{self.folder / name} is missing or damaged; {back}") from None
        return row


def write_rows(folder: Path, parts: Iterable[Rows]) -> None:
    """Write rows into a folder, the index last.

    Args:
        folder: exists; files of an earlier run in it are kept if they are named as new ones.
        parts: in an order that is the same in every run; rows of one part have one shape.
    """
    places: list[tuple[str, str, int]] = []
    for ids, rows in parts:
        if len(ids):
            name = write_part(folder, ids, rows)
            places += [(one, name, position) for position, one in enumerate(ids)]
    write_index(folder, places)


def write_index(folder: Path, places: Sequence[tuple[str, str, int]]) -> None:
    """Write the index: id, file and row of each."""
    rows = [dict(zip(INDEX, place, strict=True)) for place in places]
    write_table(folder / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX_SCHEMA))


def write_part(folder: Path, ids: Sequence[str], rows: Array) -> str:
    """Write one file and return its name, a digest of ids and rows."""
    total = hashlib.blake2b("\0".join(ids).encode(), digest_size=16)
    total.update(f"{rows.shape}{rows.dtype}".encode())
    total.update(np.ascontiguousarray(rows).data)
    name = f"{total.hexdigest()}.npy"
    write_array(folder / name, rows)
    return name


def gather(stores: Sequence[ArrayStore], ids: Sequence[str], *, where: Path) -> Array:
    """(N, ...) rows of the ids, each from the first store that has it.

    Args:
        stores: folders of arrays.
        ids: N of them.
        where: what messages name.

    Raises:
        UserError: an id is in none of them, or the rows differ in shape.
    """
    result: Array | None = None
    for position, identifier in enumerate(ids):
        store = next((one for one in stores if identifier in one), None)
        if store is None:
            raise UserError(f"{where} lacks the row of {identifier}; run `dvc repro`")
        row = store.row(identifier)
        if result is None:
            result = np.empty((len(ids), *row.shape), row.dtype)
        if row.shape != result.shape[1:]:
            raise UserError(f"{where}: {identifier} has another shape than the rest; run `dvc repro`")
        result[position] = row
    return np.zeros((0, 0), np.float32) if result is None else result
