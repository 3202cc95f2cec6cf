"""Files spoilt at random: bits, numbers and pieces of any file, chunks of formats that consist of such."""

import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random

Spoil = Callable[[bytes, bytes, Random], bytes]  # the file, another one, draws

HEADER = 256  # bytes; every other change falls here, where sizes and offsets stand
LARGEST = 1 << 20  # bytes of a spoilt file
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
CHUNKED = {b"\x89PNG": (8, ">I4x", 12), b"RIFF": (12, "<4xI", 8)}  # first chunk, its head, bytes beside its content
BOXES = (b"ftyp", b"jP  ")  # AVIF and JPEG 2000 consist of boxes: a size with its own head, and a name


def mutate(content: bytes, other: bytes, draw: Random) -> tuple[str, bytes]:
    """The file spoilt in one to three ways, and the first of them by name.

    Args:
        content: of a sound file.
        other: another one, of which pieces are taken.
        draw: what is random.
    """
    ways = draw.choices(list(WAYS), k=draw.choice((1, 1, 1, 2, 3)))
    for way in ways:
        content = WAYS[way](content, other, draw)[:LARGEST]
    if content.startswith(b"\x89PNG") and draw.random() < 0.7:  # else most changes end at the first checksum
        content = _with_checksums(content)
    return ways[0], content


def _place(content: bytes, draw: Random) -> int:
    most = len(content) if draw.random() < 0.5 else min(HEADER, len(content))
    return draw.randrange(max(1, most))


def _flip(content: bytes, other: bytes, draw: Random) -> bytes:
    spoilt = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8, 32)) if spoilt else 0):
        spoilt[_place(content, draw)] ^= 1 << draw.randrange(8)
    return bytes(spoilt)


def _cut(content: bytes, other: bytes, draw: Random) -> bytes:
    return content[: _place(content, draw)]


def _overwrite(content: bytes, other: bytes, draw: Random) -> bytes:
    start, length = _place(content, draw), draw.choice((1, 2, 4, 8, 64))
    piece = draw.choice((b"\0" * length, b"\xff" * length, draw.randbytes(length)))
    return content[:start] + piece + content[start + length :]


def _number(content: bytes, other: bytes, draw: Random) -> bytes:
    kind = draw.choice((">I", "<I", ">H", "<H", "B"))
    size = struct.calcsize(kind)
    start = _place(content, draw)
    return content[:start] + struct.pack(kind, draw.choice(NUMBERS) % 256**size) + content[start + size :]


def _piece(content: bytes, draw: Random) -> tuple[int, int]:
    start = _place(content, draw)
    return start, min(len(content), start + draw.choice((1, 4, 16, 256, 4096)))


def _delete(content: bytes, other: bytes, draw: Random) -> bytes:
    start, end = _piece(content, draw)
    return content[:start] + content[end:]


def _duplicate(content: bytes, other: bytes, draw: Random) -> bytes:
    start, end = _piece(content, draw)
    return content[:end] + content[start:end] * draw.choice((1, 1, 2, 50)) + content[end:]


def _insert(content: bytes, other: bytes, draw: Random) -> bytes:
    start = _place(content, draw)
    begin, end = _piece(other, draw)
    return content[:start] + other[begin:end] + content[start:]


def _splice(content: bytes, other: bytes, draw: Random) -> bytes:
    return content[: _place(content, draw)] + other[_place(other, draw) :]


def _rearrange(content: bytes, other: bytes, draw: Random) -> bytes:
    """Chunks left out, doubled or in another order; a piece of the file where it has none."""
    parts = chunks(content)
    if len(parts) < 2:
        return _duplicate(content, other, draw)
    at = draw.randrange(1, len(parts))
    chosen = parts.pop(at)
    for _ in range(draw.choice((0, 1, 2, 40))):
        parts.insert(draw.randrange(1, len(parts) + 1), chosen)
    return b"".join(parts)


WAYS: dict[str, Spoil] = {
    "bits flipped": _flip,
    "cut short": _cut,
    "bytes overwritten": _overwrite,
    "number overwritten": _number,
    "piece deleted": _delete,
    "piece duplicated": _duplicate,
    "piece of another inserted": _insert,
    "spliced with another": _splice,
    "chunks rearranged": _rearrange,
}


def chunks(content: bytes) -> list[bytes]:
    """A file in its chunks, the first with what stands before it; whole where it has none."""
    first, head, beside = CHUNKED.get(content[:4], (0, "", 0))
    if content[4:8] in BOXES:
        first, head, beside = 0, ">I4x", 0
    elif content[:2] == b"\xff\xd8":
        return _segments(content)
    parts, start = [content[:first]], first
    while head and start + 8 <= len(content):
        size: int = struct.unpack_from(head, content, start)[0] + beside
        if size < 8:
            break
        parts.append(content[start : start + size])
        start += size
    return [*parts, content[start:]]


def _segments(content: bytes) -> list[bytes]:
    """A JPEG in its segments, the last with all that is coded."""
    parts, start = [content[:2]], 2
    while start + 4 <= len(content) and content[start] == 0xFF and content[start + 1] != 0xDA:
        size = 2 + int(struct.unpack_from(">H", content, start + 2)[0])
        parts.append(content[start : start + size])
        start += size
    return [*parts, content[start:]]


def _with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold now."""
    first, *rest = chunks(content)
    mended = [
        part[:-4] + struct.pack(">I", zlib.crc32(part[4:-4]))
        if len(part) >= 12 and len(part) == 12 + struct.unpack_from(">I", part)[0]
        else part
        for part in rest
    ]
    return b"".join([first, *mended])


def spoilt_text(content: bytes, cells: Sequence[bytes], draw: Random) -> tuple[str, bytes]:
    """A text spoilt as ``mutate`` does, or in its lines and words, which reach further than bytes do.

    Args:
        content: of a sound file.
        cells: words that a reader may stumble over.
        draw: what is random.
    """
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    way = draw.choice(("bytes", "line deleted", "line duplicated", "word replaced", "word replaced", "word inserted"))
    if way == "bytes":
        return mutate(content, b"".join(cells), draw)
    if way == "line deleted":
        del lines[at]
    elif way == "line duplicated":
        lines[at:at] = [lines[at]] * draw.choice((1, 2, 100))
    else:
        words = lines[at].split(b",") if b"," in lines[at] else lines[at].split(b" ")
        place = draw.randrange(len(words))
        words[place : place + (way == "word replaced")] = [draw.choice(cells)]
        lines[at] = (b"," if b"," in lines[at] else b" ").join(words)
    return way, b"\n".join(lines)
