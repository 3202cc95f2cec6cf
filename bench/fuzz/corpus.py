"""Small images, made by code, of every format that is decoded and of the ways in which each stores pixels."""

import functools
import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

WIDTH, HEIGHT = 22, 18
ORIENTATION = 0x0112
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@functools.cache
def corpus() -> Mapping[str, tuple[bytes, ...]]:
    """Sound files by format."""
    return {
        "PNG": _png(),
        "JPEG": _jpeg(),
        "BMP": _bmp(),
        "GIF": _gif(),
        "TIFF": _tiff(),
        "WEBP": _webp(),
        "AVIF": _avif(),
        "JPEG2000": _jpeg2000(),
        "PPM": _ppm(),
        "ICO": _ico(),
    }


def picture(mode: str = "RGB", number: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """A gradient with a little noise; another for each number."""
    rng = np.random.default_rng(number)
    width, height = size
    ramp = np.linspace(0, 200, width)[None, :, None] * np.linspace(0.2, 1, height)[:, None, None]
    pixels = np.asarray(ramp + rng.integers(0, 55, (height, width, 4)), np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(pixels[..., 0].astype(np.float32) / 255)
    if mode == "P":
        return Image.fromarray(pixels[..., :3]).quantize(16)
    return Image.fromarray(pixels).convert(mode)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[0x010F] = "a camera"
    return exif


def _png() -> tuple[bytes, ...]:
    modes = [_saved(picture(mode), "PNG") for mode in ("1", "L", "LA", "RGB", "RGBA", "P", "I;16")]
    frames = [picture("RGBA", number) for number in range(3)]
    return (
        *modes,
        _saved(picture("P"), "PNG", transparency=3),
        _saved(picture("L"), "PNG", transparency=100),
        _saved(picture("RGB"), "PNG", transparency=(1, 2, 3), exif=_exif(6)),
        _saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50),
        _interlaced(np.asarray(picture("RGB"))),
    )


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _interlaced(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An interlaced PNG, which Pillow reads and does not write; no filter on any row."""
    height, width = pixels.shape[:2]
    rows = []
    for top, left, down, across in ADAM7:
        part = pixels[top::down, left::across]
        rows += [b"\0" + row.tobytes() for row in part] if part.size else []
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    body = zlib.compress(b"".join(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _jpeg() -> tuple[bytes, ...]:
    plain = [_saved(picture(mode), "JPEG") for mode in ("L", "RGB", "CMYK")]
    turned = [_saved(picture(), "JPEG", exif=_exif(orientation)) for orientation in (3, 5, 8)]
    return (
        *plain,
        *turned,
        _saved(picture(), "JPEG", progressive=True),
        _saved(picture(), "JPEG", subsampling=2, quality=30, restart_marker_rows=1),
        _saved(picture(), "JPEG", icc_profile=b"\0" * 200, comment=b"words"),
        _saved(picture("RGB", 1, (200, 120)), "JPEG", optimize=True),
    )


def _bmp() -> tuple[bytes, ...]:
    return (
        *(_saved(picture(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")),
        _saved(picture(), "DIB"),
        _run_lengths(),
    )


def _run_lengths() -> bytes:
    """A bitmap of runs (RLE8), which Pillow reads and does not write: rows of one colour each."""
    rows = b"".join(bytes([WIDTH, row % 16, 0, 0]) for row in range(HEIGHT)) + b"\0\1"
    palette = b"".join(bytes([16 * k, 255 - 16 * k, k, 0]) for k in range(16))
    start = 54 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 1, len(rows), 0, 0, 16, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + palette + rows


def _gif() -> tuple[bytes, ...]:
    frames = [picture("P", number) for number in range(3)]
    return (
        _saved(picture("L"), "GIF"),
        _saved(frames[0], "GIF", interlace=1, comment=b"words"),
        _saved(frames[0], "GIF", transparency=2),
        _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40, disposal=2, loop=0),
    )


def _tiff() -> tuple[bytes, ...]:
    packed = ("raw", "tiff_lzw", "packbits", "jpeg", "tiff_adobe_deflate", "zstd")
    deep = [_saved(picture(mode), "TIFF") for mode in ("L", "LA", "RGBA", "CMYK", "P", "I;16", "F")]
    return (
        *(_saved(picture(), "TIFF", compression=kind) for kind in packed),
        *deep,
        _saved(picture("1"), "TIFF", compression="group4"),
        _saved(picture("I;16"), "TIFF", compression="tiff_lzw"),
        _saved(picture(), "TIFF", save_all=True, append_images=[picture(number=1)], exif=_exif(7)),
        _saved(picture("L"), "TIFF", big_tiff=True),
    )


def _webp() -> tuple[bytes, ...]:
    frames = [picture("RGBA", number) for number in range(3)]
    return (
        _saved(picture(), "WEBP", quality=60),
        _saved(picture(), "WEBP", lossless=True),
        _saved(picture("RGBA"), "WEBP", quality=60, exif=_exif(6)),
        _saved(picture("RGBA"), "WEBP", lossless=True),
        _saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=40),
    )


def _avif() -> tuple[bytes, ...]:
    options: dict[str, Any] = {"speed": 10, "max_threads": 1}
    return (
        _saved(picture(), "AVIF", **options),
        _saved(picture("RGBA"), "AVIF", **options, subsampling="4:4:4", exif=_exif(8)),
        _saved(picture(), "AVIF", **options, save_all=True, append_images=[picture(number=1)]),
    )


def _jpeg2000() -> tuple[bytes, ...]:
    return (
        *(_saved(picture(mode), "JPEG2000") for mode in ("L", "LA", "RGB", "RGBA", "I;16")),
        _saved(picture(), "JPEG2000", no_jp2=True),
        _saved(picture(), "JPEG2000", tile_size=(8, 8), irreversible=True, quality_layers=[20, 5]),
    )


def _ppm() -> tuple[bytes, ...]:
    numbers = " ".join(str(7 * n % 256) for n in range(12 * 3)).encode()
    bits = " ".join(str(n % 2) for n in range(12)).encode()
    return (
        *(_saved(picture(mode), "PPM") for mode in ("1", "L", "RGB", "I;16", "F")),
        b"P1\n# words\n4 3\n" + bits,
        b"P2 12 3 255\n" + numbers,
        b"P3\n4 3\n255\n" + numbers,
    )


def _ico() -> tuple[bytes, ...]:
    sizes = [(16, 16), (32, 32)]
    image = picture("RGBA", 0, (32, 32))
    return (
        _saved(image, "ICO", sizes=sizes),
        _saved(image, "ICO", sizes=sizes, bitmap_format="bmp"),
        _saved(image.convert("RGB"), "ICO", sizes=sizes[:1], bitmap_format="bmp"),
    )
