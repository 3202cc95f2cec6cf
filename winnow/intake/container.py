"""A folder or a zip as one flat list of files, read one at a time; nothing is unpacked to disk or read from outside.

Names are paths inside the container with ``/`` between the parts, in Unicode's composed form (NFC), so that a folder
and its zip, made on any system, give the same names.
"""

import contextlib
import lzma
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from winnow.pictures.decode import TOO_LARGE, UnreadableError
from winnow.pipeline.messages import UserError, shown

UNOPENED = "cannot be opened"


DAMAGED_IN_ZIP = "damaged inside the zip"


MAX_FILE_BYTES = 512 * 2**20  # more than any image within decode's pixel limit needs


MAX_ZIP_BYTES = 2 * 2**30  # a zip may unpack to more only while it shrinks its files by less than MAX_ZIP_RATIO


MAX_ZIP_RATIO = 100  # line art as bitmaps reaches 50; a zip bomb 1,000 and more


# What systems and file managers leave behind; names that begin with a dot are skipped too.
CLUTTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir"})


_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
)


class Container(Protocol):
    """What a source is read through."""

    path: Path
    files: dict[str, int]  # name -> bytes, clutter left out
    folders: set[str]  # every folder's name, empty ones too

    def open(self, name: str) -> BinaryIO:
        """The file for reading; it may raise UnreadableError, and so may reading from it."""

    def read(self, name: str) -> bytes:
        """The whole file.

        Raises:
            UnreadableError: the file cannot be opened, is damaged, or is larger than any image allowed.
        """

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
        with path.open("rb") as file:
            begins_as_zip = file.read(2) == b"PK"
    except OSError as error:
        place = shown(error.filename or path)
        raise UserError(f"source: {place} cannot be opened ({error.strerror}); mend its permissions or name") from None
    if begins_as_zip or path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return _Zip(path)
    raise UserError(f"source {shown(path)} is neither a folder nor a zip; unpack it and give the folder's path")


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path, self._raw = path, dict[str, Path]()
        self.files, self.folders = dict[str, int](), set[str]()
        root = path.resolve()
        for entry in _walk(path, root):
            name = _normal(entry.relative_to(path).as_posix())
            if entry.is_dir():
                self.folders.add(name)
                continue
            _reject_collision(path, name, self.files)
            self._raw[name] = entry
            self.files[name] = entry.stat().st_size if entry.exists() else 0

    def open(self, name: str) -> BinaryIO:
        try:
            if not stat.S_ISREG(self._raw[name].stat().st_mode):  # a pipe would wait for ever
                raise UnreadableError(UNOPENED)
            return self._raw[name].open("rb")
        except OSError:
            raise UnreadableError(UNOPENED) from None

    def read(self, name: str) -> bytes:
        if self.files[name] > MAX_FILE_BYTES:
            raise UnreadableError(TOO_LARGE)
        try:
            with self.open(name) as file:
                return file.read()
        except OSError:
            raise UnreadableError(UNOPENED) from None

    def close(self) -> None:
        pass


def _walk(folder: Path, root: Path) -> Iterator[Path]:
    """Everything below a folder but clutter, in no order that matters; links to files stay inside ``root``."""
    with os.scandir(folder) as listing:
        entries = list(listing)
    for entry in entries:
        if _is_clutter(entry.name):
            continue
        path = folder / entry.name
        if entry.is_symlink():
            target = Path(os.path.realpath(path))
            if not target.is_relative_to(root):
                raise UserError(
                    f"source: {shown(path)} is a link that leads outside the source; put a copy in its place"
                )
            if target.is_dir():
                raise UserError(f"source: {shown(path)} is a link to a folder; put the folder itself in its place")
        yield path
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path, root)


class _Zip:
    def __init__(self, path: Path) -> None:
        self.path, self._raw = path, dict[str, zipfile.ZipInfo]()
        self.files, self.folders = dict[str, int](), set[str]()
        try:
            self._zip = zipfile.ZipFile(path)
        except _ZIP_FAULTS as error:
            raise UserError(f"source {shown(path)} is a damaged zip ({error}); download it or pack it again") from None
        try:
            self._list()
        except UserError:
            self.close()
            raise

    def _list(self) -> None:
        where = f"source {shown(self.path)}"
        infos = self._zip.infolist()
        unpacked, packed = sum(info.file_size for info in infos), self.path.stat().st_size
        if unpacked > MAX_ZIP_BYTES and unpacked > MAX_ZIP_RATIO * packed:
            raise UserError(
                f"{where} would unpack from {packed:,} to {unpacked:,} bytes, as a zip bomb does; "
                "unpack it yourself and give the folder's path if you trust it"
            )
        for info in infos:
            name = _safe_name(info, where)
            if not name or any(_is_clutter(part) for part in name.split("/")):
                continue
            if info.is_dir():
                self.folders.add(name)
                continue
            _reject_collision(self.path, name, self.files)
            self.folders.update(name[: slash.start()] for slash in re.finditer("/", name))
            self._raw[name], self.files[name] = info, info.file_size

    def open(self, name: str) -> BinaryIO:
        try:
            return cast(BinaryIO, self._zip.open(self._raw[name]))
        except _ZIP_FAULTS:
            raise UnreadableError(DAMAGED_IN_ZIP) from None

    def read(self, name: str) -> bytes:
        if self.files[name] > MAX_FILE_BYTES:
            raise UnreadableError(TOO_LARGE)
        try:
            # Bounded by the size declared, where ZipFile.read unpacks whatever comes; the checksum finds other damage.
            with self._zip.open(self._raw[name]) as file:
                return file.read(self.files[name] + 1)
        except _ZIP_FAULTS:
            raise UnreadableError(DAMAGED_IN_ZIP) from None

    def close(self) -> None:
        self._zip.close()


def _safe_name(info: zipfile.ZipInfo, where: str) -> str:
    """The entry's name, after checks that it stays inside, is not a link and needs no password."""
    name = info.orig_filename
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise UserError(
            f"{where}: the entry {shown(name)} would lead outside; pack it again with plain relative names and /"
        )
    if info.flag_bits & 0x1:
        raise UserError(f"{where} is encrypted; unpack it with its password and give the folder's path")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others cannot be streamed
        raise UserError(
            f"{where}: the entry {shown(name)} has an unsupported compression; pack it again as an ordinary zip"
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UserError(f"{where}: the entry {shown(name)} is a link; pack it again with the linked files themselves")
    if not info.flag_bits & 0x800:  # no UTF-8 flag: cp437 by the standard, UTF-8 by the habit of many packers
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return _normal("/".join(part for part in name.split("/") if part not in ("", ".")))


def _normal(name: str) -> str:
    """The name in composed form; bytes that are no text are escaped, since tables hold text only."""
    return unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def _reject_collision(path: Path, name: str, files: dict[str, int]) -> None:
    if name in files:
        raise UserError(f"source {shown(path)} holds the name {shown(name)} twice; rename one of the two files")


def _is_clutter(part: str) -> bool:
    return part.startswith(".") or part in CLUTTER
