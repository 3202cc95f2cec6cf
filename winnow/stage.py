"""The edge between DVC and the algorithms: params in, paths in, files out.

Every stage ends with ``run_stage``. It reads the stage's sections of params.yaml strictly, takes every path from
the command line, and turns an error that a user can mend into one sentence.
"""

import argparse
import dataclasses
import errno
import hashlib
import inspect
import json
import math
import os
import shutil
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from threadpoolctl import threadpool_limits

from winnow.lifeline import end_with_dvc

ROOT = Path(__file__).resolve().parents[1]
PARAMS = ROOT / "params.yaml"


DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's quota, the process's limit
WAY_BACK = (
    "make room and run the same command again, or go back to what dvc.lock names with "
    "`git checkout dvc.lock metrics` and `dvc checkout --force`"
)


class UserError(Exception):
    """Something that the person running Winnow can mend; the message says where, what and how."""


class ParamsError(UserError):
    """params.yaml does not say what a stage needs."""


# --- params -----------------------------------------------------------------------------------------------------


def read_params(file: Path = PARAMS) -> dict[str, Any]:
    """The whole of params.yaml as plain Python values."""
    try:
        params = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{file.name} is missing; bring it back with `git checkout {file.name}`") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{file.name} is not UTF-8 ({error}); save it so") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{file.name} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(params, dict):
        raise ParamsError(f"{file.name} must hold sections, got {_describe(params)}")
    return params


def load_params(section: str, kind: Any, file: Path = PARAMS) -> Any:
    """One section of params.yaml, checked against ``kind``: exactly its keys, exactly its types.

    Args:
        section: a key of params.yaml, dotted for a nested one (``compare.seeds``).
        kind: a dataclass, or a plain type such as ``list[int]``.
        file: the params file.

    Raises:
        ParamsError: a key is missing or unknown, a type differs, or the dataclass's ``__post_init__`` refuses a value.
    """
    value: Any = read_params(file)
    for key in section.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ParamsError(f"{file.name}: section {section} is missing")
        value = value[key]
    return _typed(value, kind, where=f"{file.name}: {section}")


def _typed(value: Any, kind: Any, where: str) -> Any:
    """``value`` as ``kind``; bool is no int and int is no float, so that a slip is seen and not rounded."""
    if dataclasses.is_dataclass(kind):
        return _typed_dataclass(value, kind, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _typed(value, option, where)
            except ParamsError:
                continue
    elif origin is list and isinstance(value, list):
        return [_typed(item, arguments[0], f"{where}[{index}]") for index, item in enumerate(value)]
    elif origin is dict and isinstance(value, dict):
        return {_typed(k, arguments[0], where): _typed(v, arguments[1], f"{where}.{k}") for k, v in value.items()}
    elif origin is None and type(value) is kind and value == value:  # nan is no number, and would pass every check
        return value
    raise ParamsError(f"{where} must be {_name(kind)}, got {_describe(value)}")


def _typed_dataclass(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ParamsError(f"{where} must be a section, got {_describe(value)}")
    hints = typing.get_type_hints(kind)
    wanted = [field.name for field in dataclasses.fields(kind)]
    for key in value:
        if key not in wanted:
            raise ParamsError(f"{where}.{key} is unknown; known here: {', '.join(wanted)}")
    for key in wanted:
        if key not in value:
            raise ParamsError(f"{where}.{key} is missing; it must be {_name(hints[key])}")
    fields = {key: _typed(value[key], hints[key], f"{where}.{key}") for key in wanted}
    try:
        return kind(**fields)
    except ValueError as error:
        raise ParamsError(f"{where}.{error}") from None


def _name(kind: Any) -> str:
    return (
        "empty"
        if kind is type(None)
        else getattr(kind, "__name__", str(kind))
        if not typing.get_args(kind)
        else str(kind)
    )


def _describe(value: Any) -> str:
    return "nothing" if value is None else f"{value!r} ({type(value).__name__})"


# --- files ------------------------------------------------------------------------------------------------------


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a killed run leaves no half-written output under the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno not in DISK_FULL:
            raise
        free = shutil.disk_usage(path.parent).free
        why = f"{len(content):,} bytes needed, {free:,} free on its disk ({error.strerror})"
        raise UserError(f"no room to write {path}: {why}; {WAY_BACK}") from None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON with sorted, readable figures; a NaN or an infinity is refused, since it is no JSON."""
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


def write_table(path: Path, table: pa.Table) -> None:
    """Write a parquet table whole or not at all; equal tables give equal bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", store_schema=True)
    write_bytes(path, sink.getvalue().to_pybytes())


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
        there = set(pq.read_schema(path).names)
        lacking = [name for name in names or () if name not in there]
        table = None if lacking else pq.read_table(path, columns=None if names is None else list(names))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; {back}") from None
    except (pa.ArrowException, OSError):
        raise UserError(f"{path} is not a whole parquet table; {back}") from None
    if table is None:
        raise UserError(f"{path} has no column {lacking[0]}; {back}")
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
    """The folder, made anew and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def digest(paths: Iterable[Path]) -> str:
    """Hex digest over names and contents of files and folders: equal when every byte below them is."""
    total = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                total.update(f"{file.relative_to(path)}\0".encode())
                total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


# --- the command line -------------------------------------------------------------------------------------------


# By positional argument of a stage's main, its section of params.yaml and the section's type.
Sections = Mapping[str, tuple[str, Any]]


def run_stage(main: Callable[..., None], description: str | None, sections: Sections) -> None:
    """Run a stage's ``main`` with its params and with the paths of the command line.

    DVC notes what a stage has read only once it has ended. What people may edit meanwhile, the params, the code and
    overrides.csv, must then still be what it read, else DVC would take the outputs for those of the edited files.

    Args:
        main: keyword-only arguments are the command line's options (``Path``, ``str`` or ``list[Path]``), each
            required; positional ones are the params.
        description: the stage's docstring, shown by ``--help``.
        sections: of the params that it reads.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    hints = typing.get_type_hints(main)
    for name, parameter in inspect.signature(main).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            many = typing.get_origin(hints[name]) is list
            kind = typing.get_args(hints[name])[0] if many else hints[name]
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True, nargs="+" if many else None)
    options = vars(parser.parse_args())
    stage = Path(sys.argv[0]).stem
    end_with_dvc()
    try:
        params = {name: load_params(section, kind) for name, (section, kind) in sections.items()}
        edited = _edits(
            sections, params, [*_own_modules(), *([options["overrides"]] if "overrides" in options else [])]
        )
        # What BLAS and OpenMP add up in several threads depends on how many there are: one, as in the workers.
        with threadpool_limits(1):
            main(**params, **options)
        if changed := edited():
            raise UserError(f"{changed} was changed while the stage ran, which read it before; run it again")
    except UserError as error:
        sys.exit(f"{stage}: {error}")
    except OSError as error:  # of a worker's or a library's own file
        if error.errno not in DISK_FULL:
            raise
        sys.exit(f"{stage}: no room left on a disk ({error}); {WAY_BACK}")
    except KeyboardInterrupt:
        sys.exit(f"{stage}: interrupted; nothing half-written is kept, run the same command again to go on")


def _own_modules() -> list[Path]:
    """The project's modules that are loaded."""
    files = (Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None)))
    return sorted({file for file in files if file.parent in (ROOT / "winnow", ROOT / "stages")})


def _edits(sections: Sections, params: Mapping[str, Any], files: Sequence[Path]) -> Callable[[], str | None]:
    """What will say which of the sections and files differs from now; None if none does."""
    before = {file: _content(file) for file in files}

    def edited() -> str | None:
        for name, (section, kind) in sections.items():
            if load_params(section, kind) != params[name]:
                return f"params.yaml: {section}"
        return next((str(file) for file in files if _content(file) != before[file]), None)

    return edited


def _content(file: Path) -> bytes | None:
    """What is in a file; None where there is none."""
    return file.read_bytes() if file.exists() else None


def stamp(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a file, or of every file below a folder: other where one was written."""
    files = [Path(folder) / name for folder, _, names in os.walk(path) for name in names] if path.is_dir() else [path]
    found = ((str(file), file.stat()) for file in sorted(files) if file.exists())
    return [(name, status.st_size, status.st_mtime_ns) for name, status in found]
