"""What image files say beside their pixels: whether it gives people away, and the files without it.

Cameras and telephones write where and by which device a picture was taken, and whose it is: as EXIF, as XMP, or both.
Makers' own notes may say it again, in forms that are not public; removing metadata removes them too, without looking.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from winnow.pictures.containers import (
    JPEG_START,
    PNG_START,
    Part,
    entries,
    gif_parts,
    jpeg_parts,
    png_parts,
    webp_parts,
)
from winnow.pictures.decode import ORIENTATION_TAG, PIXEL_LIMIT, check_header, quiet

EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"  # how JPEG's segments begin
LATITUDE, LONGITUDE = (0x0002, 0x0014), (0x0004, 0x0016)  # of the camera, and of what it shows
EXIF_DIRECTORY, GPS_DIRECTORY, XMP_TAG = 0x8769, 0x8825, 0x02BC
ARTIST, DNG_SERIAL = 0x013B, 0xC62F
OWNER, BODY_SERIAL, LENS_SERIAL = 0xA430, 0xA431, 0xA435
XMP_POSITION = re.compile(rb"\bexif:GPS(Dest)?(Latitude|Longitude)\b")
XMP_NAME = re.compile(rb"\b(dc:creator|tiff:Artist|(aux|exifEX):\w*(SerialNumber|OwnerName))\b")

# Parts that pixels, colours and frames depend on; all others are removed. JPEG's application segments are told apart by
# how they begin.
JPEG_KEPT = {"e0": b"JFIF\0", "e2": b"ICC_PROFILE\0", "ee": b"Adobe"}
PNG_KEPT = frozenset(
    [
        *("IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "cHRM", "sRGB", "iCCP", "cICP"),
        *("mDCV", "cLLI", "sBIT", "bKGD", "hIST", "pHYs", "sPLT", "acTL", "fcTL", "fdAT"),
    ]
)
WEBP_KEPT = frozenset({"VP8X", "VP8 ", "VP8L", "ALPH", "ANIM", "ANMF", "ICCP"})
WEBP_EXIF, WEBP_XMP = 0x08, 0x04  # flags of VP8X
GIF_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")  # applications: loops and a colour profile


@dataclass(frozen=True)
class Private:
    """What a file says about people."""

    position: bool  # where the picture was taken, or what it shows is
    name: bool  # a camera's or lens's serial number, an owner's or artist's name


NOTHING_PRIVATE = Private(position=False, name=False)


def private_metadata(content: bytes) -> Private:
    """Whether a file carries a GPS position, and whether a serial number or a name; what is damaged carries none."""
    position = name = False
    try:
        for block in _exif_blocks(content):
            found = _private_exif(block)
            position, name = position or found.position, name or found.name
        for text in _xmp_blocks(content):
            position, name = position or bool(XMP_POSITION.search(text)), name or bool(XMP_NAME.search(text))
    except Exception:  # a hostile file makes a parser raise nearly anything, and its pixels are sound all the same
        return Private(position, name)
    return Private(position, name)


def private_text(positions: int, names: int) -> str:
    """A clause about so many images; empty where there are none."""
    counts = [(positions, "GPS positions"), (names, "serial numbers or names")]
    return " and ".join(f"{count} images carry {what}" for count, what in counts if count)


def without_metadata(content: bytes) -> bytes | None:
    """The file without EXIF, XMP, IPTC, comments and whatever else no pixel depends on, the pixels not coded anew.

    Colour profiles stay, and an EXIF orientation other than upright, as the one entry of a new EXIF block. Of several
    pictures in a JPEG (MPO) the first is kept.

    Returns:
        None where that cannot be done: formats whose parts point to one another (TIFF, AVIF, JPEG 2000, ICO), and
        damaged files.
    """
    try:
        with quiet():
            image = check_header(io.BytesIO(content), max_pixels=PIXEL_LIMIT)
            turned = _orientation(image)
        if image.format in ("BMP", "DIB"):  # they have none
            return content
        block = _orientation_block(turned) if turned in range(2, 9) else b""
        if content.startswith(JPEG_START):
            return _joined_jpeg(content, block)
        if content.startswith(PNG_START):
            return _joined_png(content, block)
        if image.format == "WEBP":
            return _joined_webp(content, block)
        if image.format == "GIF" and not block:
            return b"".join(part.whole for part in gif_parts(content) if _stays_in_gif(part))
    except Exception:  # as above; a file that is not understood is not changed
        return None
    return None


# --- without it -------------------------------------------------------------------------------------------------


def _joined_jpeg(content: bytes, block: bytes) -> bytes:
    start, *others = jpeg_parts(content)
    exif = EXIF + block
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif if block else b""
    kept = [_without_thumbnail(part) for part in others if _stays_in_jpeg(part)]
    first = 1 if kept and kept[0].startswith(b"\xff\xe0") else 0  # JFIF is the first segment, where it is there
    return b"".join([start.whole, *kept[:first], segment, *kept[first:]])


def _stays_in_jpeg(part: Part) -> bool:
    if part.kind in JPEG_KEPT:
        return part.content.startswith(JPEG_KEPT[part.kind])
    return part.kind != "fe" and not part.kind.startswith("e")


def _without_thumbnail(part: Part) -> bytes:
    """A segment whole, or JFIF's without the small picture that it may hold, which a crop may have left as it was."""
    return b"\xff\xe0\x00\x10" + part.content[:12] + b"\0\0" if part.kind == "e0" else part.whole


def _joined_png(content: bytes, block: bytes) -> bytes:
    chunk = b""
    if block:
        checksum = zlib.crc32(b"eXIf" + block)
        chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", checksum)
    kept = [part for part in png_parts(content) if not part.kind or part.kind in PNG_KEPT]
    # After the header, hence before the image data, where every reader looks.
    return b"".join(part.whole + (chunk if part.kind == "IHDR" else b"") for part in kept)


def _joined_webp(content: bytes, block: bytes) -> bytes:
    kept = []
    for part in webp_parts(content):
        if part.kind == "VP8X":
            flags = part.content[0] & ~(WEBP_EXIF | WEBP_XMP) | (WEBP_EXIF if block else 0)
            kept.append(part.whole[:8] + bytes([flags]) + part.whole[9:])
        elif part.kind in WEBP_KEPT:
            kept.append(part.whole)
    if block:
        kept.append(b"EXIF" + struct.pack("<I", len(block)) + block)
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _stays_in_gif(part: Part) -> bool:
    return part.kind in ("header", "image", "f9", "end") or (part.kind == "ff" and part.content in GIF_KEPT)


def _orientation(image: Image.Image) -> int:
    """As ``decode`` finds it, in XMP too; a damaged one is none."""
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:
        return 1


def _orientation_block(turned: int) -> bytes:
    """An EXIF block with one directory of one entry: 26 bytes."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, turned, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


# --- what it says -----------------------------------------------------------------------------------------------


def _exif_blocks(content: bytes) -> Iterator[bytes]:
    if content.startswith(JPEG_START):
        segments = (part.content for part in jpeg_parts(content, to_scan=True) if part.kind == "e1")
        yield from (one[len(EXIF) :] for one in segments if one.startswith(EXIF))
    elif content.startswith(PNG_START):
        yield from (part.content for part in png_parts(content) if part.kind == "eXIf")
    elif content[:4] == b"RIFF":
        yield from (part.content.removeprefix(EXIF) for part in webp_parts(content) if part.kind == "EXIF")
    elif content[:4] in (b"II*\0", b"MM\0*"):
        yield content
    elif content[4:8] == b"ftyp":
        yield check_header(io.BytesIO(content), max_pixels=PIXEL_LIMIT).info.get("exif", b"").removeprefix(EXIF)


def _xmp_blocks(content: bytes) -> Iterator[bytes]:
    if content.startswith(JPEG_START):
        segments = (part.content for part in jpeg_parts(content, to_scan=True) if part.kind == "e1")
        yield from (one for one in segments if one.startswith(XMP))
    elif content.startswith(PNG_START):
        yield from (part.content for part in png_parts(content) if part.kind == "iTXt")
    elif content[:4] == b"RIFF":
        yield from (part.content for part in webp_parts(content) if part.kind == "XMP ")
    elif content[:4] in (b"II*\0", b"MM\0*"):
        order = "<" if content[:1] == b"I" else ">"
        yield _value(content, order, entries(content, _offset(content[4:8], order), order).get(XMP_TAG))
    elif content[4:8] == b"ftyp":
        yield check_header(io.BytesIO(content), max_pixels=PIXEL_LIMIT).info.get("xmp", b"")


def _private_exif(block: bytes) -> Private:
    """What an EXIF block says, or a TIFF, which is made alike."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4], "")
    if not order:
        return NOTHING_PRIVATE
    main = entries(block, _offset(block[4:8], order), order)
    exif, gps = (
        entries(block, _offset(main[tag][2], order), order) if tag in main else {}
        for tag in (EXIF_DIRECTORY, GPS_DIRECTORY)
    )
    named = [main.get(ARTIST), main.get(DNG_SERIAL), exif.get(OWNER), exif.get(BODY_SERIAL), exif.get(LENS_SERIAL)]
    return Private(
        any(tag in gps for tag in LATITUDE) and any(tag in gps for tag in LONGITUDE),
        any(_value(block, order, one).strip(b"\0 ") for one in named),
    )


def _offset(value: bytes, order: str) -> int:
    return int.from_bytes(value, "little" if order == "<" else "big")


def _value(block: bytes, order: str, entry: tuple[int, int, bytes] | None) -> bytes:
    """The bytes of an entry's value, each element taken for one byte, as in texts; empty without an entry."""
    if entry is None:
        return b""
    _, count, value = entry
    start = _offset(value, order)
    return value[:count] if count <= 4 else block[start : start + count]
