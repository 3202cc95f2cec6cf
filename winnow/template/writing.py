"""A new folder that is there whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from winnow.pipeline.durable import TEMPORARY, sync_folder
from winnow.pipeline.files import write_bytes
from winnow.pipeline.messages import UserError, shown


def demand_free(folder: Path) -> None:
    """Refuse a place that holds anything.

    Raises:
        UserError: it is a file, or a folder that is not empty.
    """
    if folder.is_dir() and not folder.is_symlink():
        if any(folder.iterdir()):
            raise UserError(
                f"{shown(folder)} is not empty, and nothing in it was touched; name a new or an empty folder"
            )
    elif os.path.lexists(folder):
        raise UserError(f"{shown(folder)} is there and is no folder; name a new or an empty one")


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``folder`` when the block ends well, and is removed when it does not.

    Args:
        folder: that is not there yet, or empty; without links in its path.

    Raises:
        UserError: it is not free.
    """
    demand_free(folder)
    near = next(parent for parent in folder.parents if parent.is_dir())  # on the same disk
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}.", suffix=TEMPORARY, dir=near))
    try:
        beside.chmod(0o777 & ~_umask())
        yield beside
        sync_folder(beside)
        demand_free(folder)
        if folder.is_dir():  # stays the folder that somebody's shell may be in
            _move_into(beside, folder)
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside.rename(folder)
        sync_folder(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files by their paths in the folder."""
    for path, text in texts.items():
        write_bytes(folder / path, text.encode(), sync=False)


def _move_into(beside: Path, folder: Path) -> None:
    moved: list[Path] = []
    try:
        for entry in sorted(beside.iterdir()):
            entry.rename(folder / entry.name)
            moved.append(folder / entry.name)
    except BaseException:
        for entry in moved:
            entry.rename(beside / entry.name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
