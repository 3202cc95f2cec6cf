"""A zip as one flat list of files, read one at a time; nothing is unpacked to disk."""

import contextlib
import io
import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from winnow.intake.names import MAX_NAMES, Names, composed, is_skipped
from winnow.pictures.decode import TOO_LARGE, UnreadableError
from winnow.pipeline.messages import UserError, failure_of_the_machine, shown

DAMAGED_IN_ZIP = "damaged inside the zip"

MAX_FILE_BYTES = 512 * 2**20  # more than any image within decode's pixel limit needs
MAX_ZIP_BYTES = 2 * 2**30  # a zip may unpack to more only while it shrinks its files by less than MAX_ZIP_RATIO
MAX_ZIP_RATIO = 100  # line art as bitmaps reaches 50; a zip bomb 1,000 and more
MAX_DIRECTORY_BYTES = 256 * 2**20  # of a zip's list of entries, which zipfile reads in one piece

_ENTRY_MARK = b"PK\x01\x02"  # begins each entry of that list
_FAULTS = (
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


class Zip:
    """A ``winnow.intake.container.Container``."""

    def __init__(self, path: Path) -> None:
        """Open the zip at a path and list its entries.

        Raises:
            UserError: it is damaged, or holds what no source may hold.
        """
        self.path, self._raw = path, dict[str, zipfile.ZipInfo]()
        names = Names(f"source {shown(path)}")
        self.files, self.folders, self.hidden = names.files, names.folders, names.hidden
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(_ZipBytes(path, names.where))
            self._stamp = _stamp(os.fstat(file.fileno()))
            try:
                self._zip = stack.enter_context(zipfile.ZipFile(file))
            except _FAULTS as error:
                why = f"is a damaged zip ({error}); download it or pack it again"
                raise UserError(f"{names.where} {why}") from None
            file.listed = True
            self._list(names)
            self._open = stack.pop_all()

    def _list(self, names: Names) -> None:
        infos = self._zip.infolist()
        unpacked, packed = sum(info.file_size for info in infos), self.path.stat().st_size
        if unpacked > MAX_ZIP_BYTES and unpacked > MAX_ZIP_RATIO * packed:
            raise UserError(
                f"{names.where} would unpack from {packed:,} to {unpacked:,} bytes, as a zip bomb does; "
                "unpack it yourself and give the folder's path if you trust it"
            )
        for info in infos:
            name = _safe_name(info, names.where)
            if not name:
                continue
            if any(map(is_skipped, name.split("/"))):
                names.add_hidden(name)
            elif info.is_dir():
                names.add_folder(name)
            else:
                names.add_file(name, info.file_size)
                self._raw[name] = info

    def open(self, name: str) -> BinaryIO:
        """The file for reading; it may raise UnreadableError, and so may reading from it."""
        try:
            return cast(BinaryIO, io.BufferedReader(_Entry(self._zip.open(self._raw[name]))))
        except _FAULTS as error:
            raise fault_of(error, DAMAGED_IN_ZIP) from None

    def read(self, name: str) -> bytes:
        """The whole file.

        Raises:
            UnreadableError: the file is damaged, or larger than any image allowed.
        """
        if self.files[name] > MAX_FILE_BYTES:
            raise UnreadableError(TOO_LARGE)
        try:
            # Bounded by the size declared, where ZipFile.read unpacks whatever comes; the checksum finds other damage.
            with self._zip.open(self._raw[name]) as file:
                return file.read(self.files[name] + 1)
        except _FAULTS as error:
            raise fault_of(error, DAMAGED_IN_ZIP) from None

    def changed(self) -> bool:
        """Whether the zip at the path is another one than was opened, or was written since."""
        try:
            return _stamp(self.path.stat()) != self._stamp
        except OSError:
            return True

    def close(self) -> None:
        """Close the zip."""
        self._open.close()


class _ZipBytes(io.BufferedReader):
    """A zip's bytes; a list of entries that would take too much memory is refused while zipfile reads it."""

    def __init__(self, path: Path, where: str) -> None:
        super().__init__(io.FileIO(path))
        self.where, self.listed = where, False

    def read(self, size: int | None = -1, /) -> bytes:
        if self.listed:
            return super().read(size)
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise UserError(
                f"{self.where} is a damaged zip, or one whose list of entries has {size:,} bytes, "
                f"{MAX_DIRECTORY_BYTES:,} are allowed; unpack it yourself and give the folder's path"
            )
        content = super().read(size)
        if content.count(_ENTRY_MARK) > MAX_NAMES:
            raise UserError(
                f"{self.where} holds more than {MAX_NAMES:,} files and folders; give a part of them as the source"
            )
        return content


class _Entry(io.RawIOBase):
    """One entry's bytes; damage is an UnreadableError, as for whole files."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            content = self._file.read(len(buffer))
        except _FAULTS as error:
            raise fault_of(error, DAMAGED_IN_ZIP) from None
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return self._file.seek(offset, whence)
        except _FAULTS as error:
            raise fault_of(error, DAMAGED_IN_ZIP) from None

    def close(self) -> None:
        self._file.close()
        super().close()


def fault_of(error: Exception, reason: str) -> Exception:
    """What a fault of reading a file is raised as; one of the machine is itself, since the file may be sound.

    Args:
        error: the fault.
        reason: that an image is rejected for.
    """
    return error if failure_of_the_machine(error) else UnreadableError(reason)


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


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
    return composed("/".join(part for part in name.split("/") if part not in ("", ".")))
