"""The parts that image files are made of, for formats whose pixels can be told from what is beside them.

Each function yields parts as bytes, which joined give the file up to its end; what follows the end is no part of it.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8"
NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # neither a stuffed byte nor a restart within a scan
ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers of JPEG without a length
SCAN, END = 0xDA, 0xD9


class Part(NamedTuple):
    """One part of a file."""

    kind: str  # of PNG and WebP the chunk's four letters, of JPEG the marker in hexadecimal, of GIF see ``gif_parts``
    whole: bytes  # with its length and checksum
    content: bytes


class DamagedError(ValueError):
    """A file that is not made as its format says."""


def jpeg_parts(content: bytes, *, to_scan: bool = False) -> Iterator[Part]:
    """Segments to the end of the first picture; a scan's coded data belong to its part, ``da``.

    Args:
        content: the file's bytes.
        to_scan: end before the first scan, without looking through the coded data, which are nearly all of a file.

    Raises:
        DamagedError: no such sequence of segments.
    """
    position = 2
    yield Part("d8", JPEG_START, b"")
    while True:
        while content[position : position + 2] == b"\xff\xff":  # fill bytes
            position += 1
        if position + 2 > len(content) or content[position] != 0xFF:
            raise DamagedError("no marker where a segment should begin")
        marker = content[position + 1]
        if marker == SCAN and to_scan:
            return
        if marker == END:
            yield Part("d9", b"\xff\xd9", b"")
            return
        end = position + 2
        if marker not in ALONE:
            end += int.from_bytes(content[end : end + 2], "big")
            if end < position + 4 or end > len(content):
                raise DamagedError("a segment longer than the file")
        body = content[position + 4 : end]
        if marker == SCAN:
            following = NEXT_MARKER.search(content, end)
            if following is None:
                raise DamagedError("a scan without an end")
            end = following.start()
        yield Part(f"{marker:02x}", content[position:end], body)
        position = end


def png_parts(content: bytes) -> Iterator[Part]:
    """The signature, then chunks to IEND.

    Raises:
        DamagedError: no such sequence of chunks.
    """
    position = len(PNG_START)
    yield Part("", PNG_START, b"")
    while True:
        length = int.from_bytes(content[position : position + 4], "big")
        end = position + 12 + length
        if end > len(content):
            raise DamagedError("a chunk longer than the file")
        kind = content[position + 4 : position + 8].decode("latin-1")
        yield Part(kind, content[position:end], content[position + 8 : end - 4])
        if kind == "IEND":
            return
        position = end


def webp_parts(content: bytes) -> Iterator[Part]:
    """Chunks within the RIFF container, whose header of 12 bytes is no part.

    Raises:
        DamagedError: no such sequence of chunks.
    """
    last = 8 + int.from_bytes(content[4:8], "little")
    position = 12
    while position + 8 <= min(last, len(content)):
        length = int.from_bytes(content[position + 4 : position + 8], "little")
        end = position + 8 + length
        if end > len(content):
            raise DamagedError("a chunk longer than the file")
        kind = content[position : position + 4].decode("latin-1")
        body = content[position + 8 : end]
        yield Part(kind, content[position : position + 8] + body + b"\0" * (length % 2), body)
        position = end + length % 2


def gif_parts(content: bytes) -> Iterator[Part]:
    """``header`` with the colours, ``image``, ``f9`` and other extensions by their label in hexadecimal, ``end``.

    The content of an extension is its first block, which names an application.

    Raises:
        DamagedError: no such sequence of blocks.
    """
    try:
        position = 13 + _colours(content[10])
        yield Part("header", content[:position], b"")
        while content[position] != 0x3B:
            start = position
            if content[position] == 0x2C:
                position = _after_blocks(content, position + 11 + _colours(content[position + 9]))
                yield Part("image", content[start:position], b"")
            elif content[position] == 0x21:
                position = _after_blocks(content, position + 2)
                first = content[start + 3 : start + 3 + content[start + 2]]
                yield Part(f"{content[start + 1]:02x}", content[start:position], first)
            else:
                raise DamagedError("neither an image nor an extension")
    except IndexError:
        raise DamagedError("a block longer than the file") from None
    yield Part("end", b"\x3b", b"")


def _colours(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << (1 + (flags & 7)) if flags & 0x80 else 0


def _after_blocks(content: bytes, position: int) -> int:
    while length := content[position]:
        position += 1 + length
    return position + 1


def entries(tiff: bytes, start: int, order: str) -> dict[int, tuple[int, int, bytes]]:
    """By tag its type, count and four bytes of value or offset, of the directory of a TIFF that begins at ``start``.

    Pillow reads the data of every tag, each as large as the file may be; here none is read.

    Args:
        tiff: an EXIF block is one too.
        start: in bytes.
        order: of bytes, ``<`` or ``>``.
    """
    if not 8 <= start <= len(tiff) - 2:
        return {}
    count = min(struct.unpack_from(f"{order}H", tiff, start)[0], (len(tiff) - start - 2) // 12)
    rows = struct.iter_unpack(f"{order}HHI4s", tiff[start + 2 : start + 2 + 12 * count])
    return {tag: (kind, number, value) for tag, kind, number, value in rows}
