"""What files say of people is found in every format, and removed without a change of one pixel where that can be."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from winnow.pictures.containers import JPEG_START, entries
from winnow.pictures.decode import decode
from winnow.pictures.metadata import NOTHING_PRIVATE, Private, private_metadata, private_text, without_metadata

SECRET = "Zauberlehrling-4711"
XMP = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description exif:GPSLatitude="52,31N" exif:GPSLongitude="13,24E"
 aux:SerialNumber="{SECRET}"/></x:xmpmeta>""".encode()
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
POSITION = {0: b"\2\3\0\0", 1: "N", 2: (52.0, 31.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)}


def exif(turned: int = 1, *, gps: bool = True, name: bool = True) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = turned
    made[0x010E] = f"{SECRET}, a description"
    if gps:
        made[0x8825] = dict(POSITION)  # as a value, so that it gets into a TIFF too
    if name:
        made[0x8769] = {0xA431: SECRET}
    return made


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 23)) -> Image.Image:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    return Image.fromarray(grey, "RGBA").convert(mode) if mode != "RGBA" else Image.fromarray(grey, "RGBA")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    if kind == "TIFF" and "exif" in options:  # Pillow leaves the directories of its own EXIF out of a TIFF
        info = TiffImagePlugin.ImageFileDirectory_v2()
        for tag, value in dict(options.pop("exif")).items():
            info[tag] = value
        options["tiffinfo"] = info
    image.save(sink, kind, **options)
    return sink.getvalue()


def png(mode: str = "RGB", turned: int = 1) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET)
    text.add_text("Zipped", SECRET, zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return saved(picture(mode), "PNG", pnginfo=text, exif=exif(turned), icc_profile=ICC, dpi=(72, 72)) + SECRET.encode()


def jpeg(mode: str = "RGB", turned: int = 1, **options: Any) -> bytes:
    made = saved(picture(mode), "JPEG", exif=exif(turned), xmp=XMP, comment=SECRET, icc_profile=ICC, **options)
    iptc = b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\x18\x1c\x02\x78\0\x13" + SECRET.encode()
    segment = b"\xff\xed" + struct.pack(">H", 2 + len(iptc)) + iptc
    return made[:2] + segment + made[2:] + SECRET.encode()


def gif() -> bytes:
    frames = [picture("P"), picture("L").convert("P")]
    made = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0, comment=SECRET.encode())
    # XMP in a GIF is no chain of blocks; a ramp behind it leads any reader to the end.
    ramp = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return made[:-1] + b"\x21\xff\x0bXMP DataXMP" + f"{SECRET}".encode() + ramp + b"\x3b"


FILES: dict[str, Callable[[], bytes]] = {
    "JPEG": jpeg,
    "JPEG, grey": lambda: jpeg("L"),
    "JPEG, CMYK": lambda: jpeg("CMYK"),
    "JPEG, progressive": lambda: jpeg(progressive=True),
    "JPEG, restarts": lambda: jpeg(restart_marker_blocks=1),
    "JPEG, turned": lambda: jpeg(turned=6),
    "MPO": lambda: saved(picture(), "MPO", save_all=True, append_images=[picture("L")], exif=exif(3), comment=SECRET),
    "PNG": png,
    "PNG, palette": lambda: png("P"),
    "PNG, alpha": lambda: png("LA"),
    "PNG, 16 bits": lambda: png("I;16"),
    "PNG, turned": lambda: png(turned=5),
    "APNG": lambda: saved(picture(), "PNG", save_all=True, append_images=[picture("L").convert("RGB")], exif=exif()),
    "WebP": lambda: saved(picture(), "WEBP", exif=exif(), xmp=XMP, icc_profile=ICC),
    "WebP, alpha": lambda: saved(picture("RGBA"), "WEBP", exif=exif(), xmp=XMP),
    "WebP, lossless": lambda: saved(picture("RGBA"), "WEBP", lossless=True, exif=exif(8), xmp=XMP),
    "WebP, frames": lambda: saved(picture(), "WEBP", save_all=True, append_images=[picture("L")], exif=exif()),
    "GIF": gif,
    "BMP": lambda: saved(picture(), "BMP"),
}
KEEPING: dict[str, Callable[[], bytes]] = {
    "TIFF": lambda: saved(picture(), "TIFF", exif=exif()),
    "AVIF": lambda: saved(picture(), "AVIF", exif=exif(), xmp=XMP),
    "JPEG2000": lambda: saved(picture(), "JPEG2000", comment=SECRET),
    "ICO": lambda: saved(picture("RGBA"), "ICO", sizes=[(16, 16)]),
    "PPM": lambda: b"P5\n# " + SECRET.encode() + b"\n1 1\n255\n\0",
}


def pixels(content: bytes) -> tuple[tuple[int, ...], bytes]:
    found = decode(content, max_pixels=10_000)
    return found.shape, found.tobytes()


@pytest.mark.parametrize("name", FILES)
def test_it_is_removed_and_the_pixels_stay(name: str) -> None:
    content = FILES[name]()
    without = without_metadata(content)
    assert without is not None
    assert pixels(without) == pixels(content)
    if name != "BMP":
        assert SECRET.encode() in content or b"4711" in content
        assert len(without) < len(content)
    assert SECRET.encode() not in without
    assert private_metadata(without) == NOTHING_PRIVATE
    assert without_metadata(without) == without
    before, after = (Image.open(io.BytesIO(one)) for one in (content, without))
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    assert getattr(after, "n_frames", 1) == (1 if name == "MPO" else getattr(before, "n_frames", 1))
    assert after.info.get("loop") == before.info.get("loop")
    turned = before.getexif().get(0x0112, 1)
    assert dict(after.getexif()) == ({} if turned == 1 else {0x0112: turned})


@pytest.mark.parametrize("name", KEEPING)
def test_formats_that_it_cannot_be_taken_from_say_so(name: str) -> None:
    assert without_metadata(KEEPING[name]()) is None


@pytest.mark.parametrize("turned", range(9))
@pytest.mark.parametrize("make", [jpeg, png])
def test_every_orientation_stays(make: Callable[..., bytes], turned: int) -> None:
    content = make(turned=turned)
    without = without_metadata(content)
    assert without is not None
    assert pixels(without) == pixels(content)


def test_an_orientation_in_xmp_alone_stays_too() -> None:
    content = saved(picture(), "JPEG", xmp=b'<x tiff:Orientation="6"/>')
    assert decode(content, max_pixels=10_000).shape == (40, 23, 3)
    without = without_metadata(content)
    assert without is not None
    assert b"tiff:" not in without
    assert pixels(without) == pixels(content)


def test_the_small_picture_in_jfif_goes() -> None:
    content = saved(picture(), "JPEG")
    assert content[2:4] == b"\xff\xe0"
    thumbnail = b"\xff\xe0" + struct.pack(">H", 16 + 12) + content[6:18] + b"\2\2" + b"SECRETSECRET"
    without = without_metadata(JPEG_START + thumbnail + content[20:])
    assert without == content


SILENT = ("GIF", "BMP", "JPEG2000", "ICO", "PPM")
WITH_EXIF = {name: make for name, make in (FILES | KEEPING).items() if name not in SILENT}


@pytest.mark.parametrize("name", WITH_EXIF)
def test_positions_and_serial_numbers_are_found(name: str) -> None:
    assert private_metadata(WITH_EXIF[name]()) == Private(position=True, name=True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(("gps", "name"), [(True, False), (False, True), (False, False)])
def test_each_is_found_by_itself(kind: str, gps: bool, name: bool) -> None:
    assert private_metadata(saved(picture(), kind, exif=exif(gps=gps, name=name))) == Private(gps, name)


@pytest.mark.parametrize("tag", [0x013B, 0xA430, 0xA431, 0xA435, 0xC62F])
@pytest.mark.parametrize(("value", "found"), [(SECRET, True), ("ab", True), ("   ", False), ("", False)])
def test_each_name_counts_where_it_is_one(tag: int, value: str, found: bool) -> None:
    made = Image.Exif()
    (made.get_ifd(0x8769) if 0xA430 <= tag <= 0xA435 else made)[tag] = value
    assert private_metadata(saved(picture(), "JPEG", exif=made)) == Private(position=False, name=found)


def test_a_gps_directory_without_a_position_is_none() -> None:
    made = Image.Exif()
    made.get_ifd(0x8825).update({0: b"\2\3\0\0", 29: "2024:01:01"})
    assert private_metadata(saved(picture(), "JPEG", exif=made)) == NOTHING_PRIVATE


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'exif:GPSLatitude="1"', Private(True, False)),
        (b"<exifEX:BodySerialNumber>1</", Private(False, True)),
        (b'aux:OwnerName="a"', Private(False, True)),
        (b"<dc:creator>", Private(False, True)),
        (b'exif:GPSVersionID="2"', NOTHING_PRIVATE),
        (b"<dc:subject>SerialNumber</", NOTHING_PRIVATE),
    ],
)
def test_xmp_alone_is_read(text: bytes, found: Private) -> None:
    for kind in ("JPEG", "WEBP", "TIFF", "AVIF"):
        options = {"tiffinfo": {700: text}} if kind == "TIFF" else {"xmp": text}
        assert private_metadata(saved(picture(), kind, **options)) == found
    chunk = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + text
    made = saved(picture(), "PNG")
    made = made[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + made[33:]
    assert private_metadata(made) == found


@pytest.mark.parametrize("name", [*FILES, *KEEPING])
def test_damaged_files_raise_nothing(name: str) -> None:
    content, rng = {**FILES, **KEEPING}[name](), random.Random(0)
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 8)):
            damaged[rng.randrange(min(len(damaged), 900))] = rng.randrange(256)
        cut = bytes(damaged[: rng.randint(0, len(damaged))]) if rng.random() < 0.3 else bytes(damaged)
        assert isinstance(private_metadata(cut), Private)
        without = without_metadata(cut)
        assert without is None or isinstance(without, bytes)


def test_a_directory_longer_than_its_file_ends_with_it() -> None:
    block = b"II*\0\x08\0\0\0" + b"\xff\xff" + struct.pack("<HHI4s", 0x013B, 2, 4, b"abc\0") + b"\0" * 5
    assert entries(block, 8, "<") == {0x013B: (2, 4, b"abc\0")}
    assert entries(block, len(block) - 1, "<") == entries(block, 10**9, "<") == entries(block, 0, "<") == {}
    assert private_metadata(block) == Private(position=False, name=True)


def test_counts_are_a_clause() -> None:
    assert private_text(0, 0) == ""
    assert private_text(2, 0) == "2 images carry GPS positions"
    assert private_text(2, 3) == "2 images carry GPS positions and 3 images carry serial numbers or names"
