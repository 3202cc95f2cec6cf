"""Files that stages write and read: writes are atomic and lasting, and equal content gives equal bytes.

Tables and arrays carry checksums, which are verified when they are read."""

import contextlib
import hashlib
import io
import json
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from winnow.pipeline.checksums import DamagedError, sealed_array, sealed_parquet, verify
from winnow.pipeline.durable import Part, link_file, replace_file
from winnow.pipeline.messages import DISK_FULL, WAY_BACK, UserError, failure_of_the_machine
from winnow.pipeline.repository import find_root

ROOT = find_root()

Columns = Mapping[str, tuple[pa.DataType, str]]  # of a table: by name the type, and the meaning for docs/formats.md


def schema_of(columns: Columns) -> pa.Schema:
    """The schema of a table with these columns."""
    return pa.schema([(name, kind) for name, (kind, _) in columns.items()])


def write_bytes(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file whole or not at all, whether the run is killed or the power lost.

    Args:
        path: of the file; folders that are missing are made.
        content: of the file.
        sync: False for one of many, for which ``durable.sync_folder`` follows.

    Raises:
        UserError: no room on the disk.
    """
    _write(path, [content], sync=sync)


def _write(path: Path, parts: Sequence[Part], *, sync: bool = True) -> None:
    try:
        replace_file(path, parts, sync=sync)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        why = f"{sum(map(len, parts)):,} bytes needed, {free:,} free on its disk ({error.strerror})"
        raise UserError(f"no room to write {path}: {why}; {WAY_BACK}") from None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with rounded figures; NaN and infinity raise a ValueError, since they are not JSON."""
    text = json.dumps(_rounded(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def _rounded(value: Any) -> Any:
    """Floats at six significant digits: enough for every figure here, and the last bits differ between machines."""
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.6g}")
    return value


def write_table(
    path: Path, table: pa.Table, *, write_batch_size: int | None = None, row_group_size: int | None = None
) -> None:
    """Write a parquet table atomically; equal tables give equal bytes.

    Args:
        path: of the file.
        table: what it holds.
        write_batch_size: rows between two looks at a page's size; None: pyarrow's own.
        row_group_size: rows of a group, which can be read by itself; None: pyarrow's own.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        store_schema=True,
        write_batch_size=write_batch_size,
        row_group_size=row_group_size,
        write_page_checksum=True,
    )
    _write(path, sealed_parquet(memoryview(sink.getvalue())))


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write a .npy file atomically; equal arrays give equal bytes."""
    sink = io.BytesIO()
    np.save(sink, array)
    _write(path, sealed_array(sink.getbuffer()))


def read_array(path: Path) -> npt.NDArray[Any]:
    """A .npy file, memory-mapped.

    Raises:
        DamagedError: it is damaged, or none.
        FileNotFoundError: it is not there.
    """
    with _damage_named():
        sealed = verify(path)
        array: np.memmap[Any, Any] = np.load(path, mmap_mode="r")
        if not sealed and array.offset + array.nbytes != path.stat().st_size:
            raise DamagedError("its end is damaged")
    return array


def pass_on(file: Path, to: Path) -> None:
    """The file under another path too: one copy on the disk where the file system can link, else a copy.

    Files here are replaced and never changed in place, so that a link is as good as a copy.
    """
    try:
        link_file(file, to)
    except OSError:  # another file system, or one without links
        write_bytes(to, file.read_bytes())


@contextlib.contextmanager
def open_parquet(path: Path, *, buffer_size: int = 0) -> Iterator[pq.ParquetFile]:
    """A parquet file, whose checksums are verified: its own here, and those of its pages when they are read.

    Args:
        path: the file.
        buffer_size: bytes read at once; 0: pyarrow's own way, which reads a column of a row group whole.

    Raises:
        DamagedError: it is damaged, or none; whatever pyarrow raises in the block becomes this error too.
        FileNotFoundError: it is not there.
    """
    with _damage_named():
        whole = verify(path)
    with (
        _damage_named(whole=whole),
        pq.ParquetFile(
            path, pre_buffer=not buffer_size, buffer_size=buffer_size, page_checksum_verification=True
        ) as file,
    ):
        yield file


@contextlib.contextmanager
def _damage_named(*, whole: bool = False) -> Iterator[None]:
    """Make every error in the block, which does nothing but read a file, a ``DamagedError``.

    Damaged bytes may be taken for any size, type or offset, so that the libraries raise errors of every kind. An error
    of the disk stays what it is; so does one of memory, where the file is known to be ``whole``.
    """
    try:
        yield
    except (FileNotFoundError, DamagedError):
        raise
    except Exception as error:
        if failure_of_the_machine(error) and (whole or not isinstance(error, MemoryError)):
            raise
        words = " ".join(str(error).split()) or type(error).__name__
        raise DamagedError(words) from None


def read_table(path: Path, columns: Sequence[str] | pa.Schema | None = None) -> pa.Table:
    """A table that a stage wrote, or some of its columns.

    Args:
        path: the file.
        columns: names, or a schema that the columns must fit; a field that is not nullable has no gaps.

    Raises:
        UserError: it is missing, damaged, lacks a column, or does not fit.
    """
    back = f"run `dvc repro`, or bring it back with `dvc checkout --force {path}`"
    names = columns.names if isinstance(columns, pa.Schema) else columns
    try:
        with open_parquet(path) as file:
            there = set(file.schema_arrow.names)
            lacking = [name for name in names or () if name not in there]
            table = None if lacking else file.read() if names is None else file.read(names).select(list(names))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {back}") from None
    except DamagedError:
        raise UserError(f"{path} is not a whole parquet table; {back}") from None
    if table is None:
        raise UserError(f"{path} has no column {lacking[0]}; {back}")
    pa.default_memory_pool().release_unused()  # what decoding needed: of a large table three times what it holds
    return _fitted(table, columns, path, back) if isinstance(columns, pa.Schema) else table


def _fitted(table: pa.Table, schema: pa.Schema, path: Path, back: str) -> pa.Table:
    for field in schema:
        column = table[field.name]
        if not field.nullable and column.null_count:
            raise UserError(f"{path}: column {field.name} has gaps; {back}")
        try:
            column.cast(field.type)
        except pa.ArrowException:
            wrong = f"column {field.name} must hold {field.type}, got {column.type}"
            raise UserError(f"{path}: {wrong}; {back}") from None
    return table.select(schema.names).cast(schema)


def write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a small CSV of numbers and plain words, as ``dvc plots`` reads it."""
    lines = [",".join(str(cell) for cell in row) for row in [header, *rows]]
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def fresh_folder(folder: Path) -> Path:
    """The folder, made anew and empty; of a link in its place the link is removed, and what it leads to stays."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def digest(paths: Iterable[Path], *, without: Path | None = None) -> str:
    """Hex digest over names and contents of files and folders: equal when every byte below them is.

    Python's own caches and hidden files do not count, as .dvcignore has it.

    Args:
        paths: of files and folders.
        without: a folder below them that does not count either.
    """
    total = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if without is not None and file.is_relative_to(without):
                continue
            if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith("."):
                total.update(f"{file.relative_to(path)}\0".encode())
                with file.open("rb") as opened:
                    total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()
