"""A folder or a zip as one flat list of files, read one at a time; nothing is unpacked to disk or read from outside.

What names are, which are allowed and which are skipped stands in ``winnow.intake.names``.
"""

import contextlib
import errno
import hashlib
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from winnow.intake.names import Names, composed, is_skipped, may_be_class
from winnow.intake.zipped import MAX_FILE_BYTES, Zip, fault_of
from winnow.pictures.decode import TOO_LARGE, UnreadableError
from winnow.pipeline.messages import UserError, shown

UNOPENED = "cannot be opened"


class Container(Protocol):
    """What a source is read through."""

    path: Path
    files: dict[str, int]  # name -> bytes, clutter left out
    folders: set[str]  # every folder's name, empty ones too
    hidden: set[str]  # folders left out for their name's dot that have images directly in them

    def open(self, name: str) -> BinaryIO:
        """The file for reading; it may raise UnreadableError, and so may reading from it."""

    def read(self, name: str) -> bytes:
        """The whole file.

        Raises:
            UnreadableError: the file cannot be opened, is damaged, or is larger than any image allowed.
        """

    def changed(self) -> bool:
        """Whether anything in it was written, added or taken away since it was opened, as its file system has it."""

    def close(self) -> None:
        """Close the container."""


def open_container(path: Path) -> Container:
    """The folder or zip at a path.

    Raises:
        UserError: nothing is there, it is neither, or it holds names or links that lead outside or collide.
    """
    try:
        if path.is_dir():
            return _Folder(path)
        if not path.exists():
            raise UserError(f"source {shown(path)} does not exist; give the path of a folder or of a zip")
        if not path.is_file():  # a pipe would wait for ever, and a device may never end
            raise UserError(f"source {shown(path)} is neither a folder nor a file; give the path of a folder or a zip")
        with path.open("rb") as file:
            begins_as_zip = file.read(2) == b"PK"
        if begins_as_zip or path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
            return Zip(path)
    except OSError as error:
        place = shown(error.filename or path)
        raise UserError(f"source: {place} cannot be opened ({error.strerror}); mend its permissions or name") from None
    raise UserError(f"source {shown(path)} is neither a folder nor a zip; unpack it and give the folder's path")


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path, self._raw, self._stamp = path, dict[str, str](), 0
        names = Names(f"source {shown(path)}")
        self.files, self.folders, self.hidden = names.files, names.folders, names.hidden
        for raw, status in _walk(path, names):
            name = composed(raw)
            self._stamp ^= _digest(name, status)
            if status is not None and stat.S_ISDIR(status.st_mode):
                names.add_folder(name)
                continue
            names.add_file(name, status.st_size if status else 0)
            if raw != name:
                self._raw[name] = raw

    def open(self, name: str) -> BinaryIO:
        path = self.path / self._raw.get(name, name)
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for ever
                raise UnreadableError(UNOPENED)
            return path.open("rb")
        except OSError as error:
            raise fault_of(error, UNOPENED) from None

    def read(self, name: str) -> bytes:
        if self.files[name] > MAX_FILE_BYTES:
            raise UnreadableError(TOO_LARGE)
        try:
            with self.open(name) as file:
                # Bounded, since it may have grown, which ``changed`` tells; and no more, since so much is allocated.
                return file.read(self.files[name] + 1)
        except OSError as error:
            raise fault_of(error, UNOPENED) from None

    def changed(self) -> bool:
        try:
            return _Folder(self.path)._stamp != self._stamp
        except (UserError, OSError):
            return True

    def close(self) -> None:
        pass


def _walk(path: Path, names: Names) -> Iterator[tuple[str, os.stat_result | None]]:
    """Everything in a folder but clutter, in no order that matters: relative path, and status where it can be had.

    The consumer checks each name before what is below it is listed, so that depth is bounded. Links to files stay
    inside the folder.
    """
    root, folders = Path(os.path.realpath(path)), [""]
    while folders:
        folder = folders.pop()
        with os.scandir(path / folder) as listing:
            for entry in listing:
                raw = f"{folder}/{entry.name}" if folder else entry.name
                if is_skipped(entry.name):
                    _note_hidden(entry, composed(raw), names)
                    continue
                status = _linked(entry, root) if entry.is_symlink() else entry.stat(follow_symlinks=False)
                yield raw, status
                if status is not None and stat.S_ISDIR(status.st_mode):
                    folders.append(raw)


def _linked(entry: os.DirEntry[str], root: Path) -> os.stat_result | None:
    """The status of the file that a link leads to; None where it leads to nothing."""
    status = None
    try:
        status = os.stat(entry)
    except OSError as error:
        if error.errno == errno.ELOOP:  # more links than the system follows: nothing there can be read
            return None
    if not Path(os.path.realpath(entry)).is_relative_to(root):
        raise UserError(f"source: {shown(entry.path)} is a link that leads outside the source; put a copy in its place")
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise UserError(f"source: {shown(entry.path)} is a link to a folder; put the folder itself in its place")
    return status


def _note_hidden(entry: os.DirEntry[str], name: str, names: Names) -> None:
    if may_be_class(name) and entry.is_dir(follow_symlinks=False):
        with contextlib.suppress(OSError), os.scandir(entry) as listing:  # what cannot be listed stays skipped
            for inside in listing:
                names.add_hidden(f"{name}/{composed(inside.name)}")


def _digest(name: str, status: os.stat_result | None) -> int:
    """A number that differs once a file was written; those of all files combine by exclusive or, in any order."""
    facts: tuple[object, ...] = (name,)
    if status is not None and not stat.S_ISDIR(status.st_mode):
        facts = (name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return int.from_bytes(hashlib.blake2b(repr(facts).encode(), digest_size=16).digest())
