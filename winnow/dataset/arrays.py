"""Arrays of images or of their features by id, written once and memory-mapped, so that no stage decodes a photograph.

<folder>/index.parquet    id, array, row; and what the writer adds
<folder>/<hash>.npy       (n, ...) rows of equal shape, named by their content
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.pipeline.checksums import DamagedError
from winnow.pipeline.files import Columns, read_array, read_table, schema_of, write_array, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.scratch import scratch_array

Array = npt.NDArray[Any]
Places = npt.NDArray[np.int64]

INDEX: Columns = {
    "id": (pa.string(), "of the sample"),
    "array": (pa.string(), "file beside the index that holds its row"),
    "row": (pa.int64(), "row in this file"),
}
INDEX_SCHEMA = schema_of(INDEX)
ARRAY_BYTES = 2**26  # of one file: small enough to be held while it is written, large enough to be few

Rows = tuple[Sequence[str], Array]  # n ids and their (n, ...) rows


class ArrayStore:
    """The arrays of a folder, memory-mapped. The index is in columns: some 200 bytes an image, its id included."""

    def __init__(self, folder: Path) -> None:
        """Open a folder that ``write_rows`` filled, or one that does not exist, which holds nothing.

        Raises:
            UserError: the index is damaged.
        """
        self.folder = folder
        self.ids: list[str] = []  # in the order of the index
        self._names: list[str] = []  # of the files
        self._file = self._row = np.zeros(0, np.int64)  # (N,) place in ``_names``, and row in that file
        self._maps: dict[str, Array] = {}
        if (folder / "index.parquet").exists():
            index = read_table(folder / "index.parquet", INDEX_SCHEMA)
            self.ids = index["id"].to_pylist()
            files = index["array"].combine_chunks().dictionary_encode()
            self._names, self._file = files.dictionary.to_pylist(), files.indices.to_numpy()
            self._row = index["row"].to_numpy()
        self._position = {identifier: position for position, identifier in enumerate(self.ids)}

    def __contains__(self, identifier: object) -> bool:
        """Whether the folder has a row of this id."""
        return identifier in self._position

    def row(self, identifier: str) -> Array:
        """The row of an id, as a view of the file.

        Raises:
            UserError: the file is missing or damaged.
        """
        position = self._position[identifier]
        return self._rows(self._names[self._file[position]], self._row[position])

    def by_file(self, ids: Sequence[str]) -> Iterator[tuple[str, Places, Places]]:
        """For each file that holds some of the ids: its name, their places among the ids, and their rows in it.

        Args:
            ids: each of which the folder has.
        """
        positions = np.fromiter((self._position[one] for one in ids), np.int64, len(ids))
        files = self._file[positions]
        order = np.argsort(files, kind="stable")
        for places in np.split(order, np.flatnonzero(np.diff(files[order])) + 1):
            if len(places):
                yield self._names[files[places[0]]], places, self._row[positions[places]]

    def rows(self, name: str, rows: Places) -> Array:
        """(n, ...) some rows of a file, copied in one step.

        Raises:
            UserError: the file is missing or damaged.
        """
        return self._rows(name, rows)

    def _rows(self, name: str, rows: Any) -> Array:
        if name not in self._maps:
            self._maps[name] = open_rows(self.folder / name)
        if np.max(rows) >= len(self._maps[name]):
            raise _damaged(self.folder / name)
        found: Array = self._maps[name][rows]
        return found


def opened_once(folder: Path) -> ArrayStore:
    """The arrays of a folder, opened once in a process as long as the index stays the same.

    For the jobs of a worker: an index is read in a time that grows with the images, as the number of jobs does.
    """
    index = folder / "index.parquet"
    found = index.stat() if index.exists() else None
    return _opened(folder.absolute(), found and (found.st_ino, found.st_mtime_ns, found.st_size))


@functools.lru_cache(maxsize=2)
def _opened(folder: Path, _state: tuple[int, int, int] | None) -> ArrayStore:
    return ArrayStore(folder)


def open_rows(file: Path) -> Array:
    """The rows of a file beside an index, memory-mapped.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return read_array(file)
    except (DamagedError, FileNotFoundError):
        raise _damaged(file) from None


def _damaged(file: Path) -> UserError:
    return UserError(f"{file} is missing or damaged; run `dvc checkout --force {file.parent}`")


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
    columns = list(zip(*places, strict=True)) or [(), (), ()]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, INDEX_SCHEMA.types, strict=True)]
    write_table(folder / "index.parquet", pa.Table.from_arrays(arrays, schema=INDEX_SCHEMA))


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

    Time O(N); memory that of the result and of one file's rows.
    """
    result: Array | None = None
    left: Places = np.arange(len(ids))
    for store in stores:
        here = np.array([ids[position] in store for position in left], dtype=bool)
        mine, left = left[here], left[np.logical_not(here)]
        for name, places, rows in store.by_file([ids[position] for position in mine]):
            found = store.rows(name, rows)
            if result is None:
                result = scratch_array((len(ids), *found.shape[1:]), found.dtype)
            if found.shape[1:] != result.shape[1:]:
                first = ids[mine[places[0]]]
                raise UserError(f"{where}: {first} has another shape than the rest; run `dvc repro`")
            result[mine[places]] = found
    if len(left):
        raise UserError(f"{where} lacks the row of {ids[left[0]]}; run `dvc repro`")
    return np.zeros((0, 0), np.float32) if result is None else result
