"""Image files that are small and ask for much, by their formats' letter."""

import struct
import zlib
from collections.abc import Sequence

from PIL import Image

from tests.support.sources import encoded


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def plain_png(width: int, height: int, *, colour: bool = False, extra: bytes = b"") -> bytes:
    """All 0, of 1 bit or of 8 bits in four channels; ``extra`` chunks precede the pixels."""
    row = bytes(1 + (4 * width if colour else (width + 7) // 8))
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8 if colour else 1, 6 if colour else 0, 0, 0, 0)
    tail = extra + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + tail


def text_png(size: int) -> bytes:
    """A tiny image with a comment that unpacks to so many bytes."""
    return plain_png(4, 4, extra=png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(size), 1)))


def profile_png(size: int) -> bytes:
    """A tiny image with a colour profile that unpacks to so many bytes."""
    return plain_png(4, 4, extra=png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(size), 1)))


def plain_webp(width: int, height: int) -> bytes:
    """One colour, lossless: every symbol has a code of no bits, so that the pixels take none."""
    fields: list[tuple[int, int]] = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 1), (0, 3)]
    fields += [(0, 1)] * 3  # no transform, no colour cache, no groups of codes
    fields += [(1, 1), (0, 1), (0, 1), (0, 1)] * 5  # a code of one symbol, 0
    total, bits = 0, 0
    for value, count in fields:
        total |= value << bits
        bits += count
    body = total.to_bytes(bits // 8 + 9, "little")
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def icon(inner: bytes) -> bytes:
    """An ICO of one PNG."""
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inner), 22) + inner


def tagged_tiff(tags: int) -> bytes:
    """4 x 4 grey pixels and so many private tags, each with its value elsewhere in the file."""
    known = ((256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 4), (279, 16))
    fields = [struct.pack("<HHII", tag, 3, 1, value) for tag, value in known]
    fields += [struct.pack("<HHII", 1000 + number, 7, 5, 9) for number in range(tags)]
    return b"II*\0" + struct.pack("<I", 24) + bytes(16) + struct.pack("<H", len(fields)) + b"".join(fields) + bytes(4)


def declaring(kind: str, side: int) -> bytes:
    """A tiny AVIF, GIF or JPEG 2000 whose header declares a square of so many pixels a side."""
    content = bytearray(encoded(Image.new("RGB", (64, 64)), kind))
    places: Sequence[tuple[bytes, int]] = {
        "AVIF": ((b"ispe", 8),),
        "GIF": ((b"GIF8", 6),),
        "JPEG2000": ((b"ihdr", 4), (b"\xff\x51", 6), (b"\xff\x51", 22)),
    }[kind]
    form = "<HH" if kind == "GIF" else ">II"
    for mark, offset in places:
        struct.pack_into(form, content, content.index(mark) + offset, side, side)
    return bytes(content)
