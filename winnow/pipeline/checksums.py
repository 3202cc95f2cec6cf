"""A checksum inside a file, over all of its bytes, so that a damaged bit is noticed when the file is read.

    parquet   PAR1, pages, [mark, CRC-32], footer, length of the footer in 4 bytes, PAR1
    .npy      header, array, [mark, CRC-32]

The checksums of parquet's pages, which other programs verify too, do not cover the names, types and offsets in the
footer. A gap before the footer is within the format, because readers go by offsets; numpy reads as many bytes as the
header says. A file without the mark, of another program or an earlier version, has no such checksum.
"""

import functools
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from winnow.pipeline.durable import Part

MARK = b"WINNOWCS"
SEAL = len(MARK) + 4  # bytes of mark and checksum
PARQUET = b"PAR1"
TAIL = 4 + len(PARQUET)  # bytes after the footer
CHUNK = 1 << 20  # bytes read at once


class DamagedError(Exception):
    """A file is not as it was written, or is none of its kind; the message says why."""


def sealed_parquet(content: memoryview) -> tuple[Part, ...]:
    """The parts of a parquet file with its checksum."""
    end = len(content) - TAIL - int.from_bytes(content[-TAIL : -len(PARQUET)], "little")
    return content[:end], _seal(zlib.crc32(content)), content[end:]


def sealed_array(content: memoryview) -> tuple[Part, ...]:
    """The parts of a .npy file with its checksum."""
    return content, _seal(zlib.crc32(content))


def _seal(checksum: int) -> bytes:
    return MARK + checksum.to_bytes(4, "little")


def verify(path: Path) -> bool:
    """Compare a file with the checksum inside it; once as long as the file is not written.

    Returns:
        Whether it has one.

    Raises:
        DamagedError: they differ.
        OSError: it is missing or cannot be read.
    """
    status = path.stat()
    whole = _is_whole(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if whole is False:
        raise DamagedError("its checksum is that of another content")
    return whole is not None


@functools.lru_cache(maxsize=4096)
def _is_whole(path: Path, *state: int) -> bool | None:
    """None without a checksum; ``state`` changes when the file is written, so that no answer is of an earlier one."""
    with path.open("rb") as file:
        found = _find_seal(file)
        if found is None:
            return None
        place, checksum = found
        file.seek(0)
        total = _checksum(file, place)
        file.seek(place + SEAL)
        return _checksum(file, None, total) == checksum


def _checksum(file: BinaryIO, length: int | None, total: int = 0) -> int:
    """CRC-32 of so many bytes from where the file is, or of the rest, after those that gave ``total``."""
    left = os.fstat(file.fileno()).st_size if length is None else length
    while chunk := file.read(min(left, CHUNK)):
        total = zlib.crc32(chunk, total)
        left -= len(chunk)
    return total


def _find_seal(file: BinaryIO) -> tuple[int, int] | None:
    """Offset of the mark and the checksum after it; None where there is none."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - TAIL))
    tail = file.read()
    behind = TAIL + int.from_bytes(tail[:4], "little") if tail[4:] == PARQUET else 0
    for place in (size - SEAL, size - SEAL - behind):
        if place >= 0:
            file.seek(place)
            seal = file.read(SEAL)
            if seal.startswith(MARK):
                return place, int.from_bytes(seal[len(MARK) :], "little")
    return None
