"""Image bytes of any kind as 8-bit pixels, or the reason why they give none.

Grey stays grey and colour stays colour. The content decides the format, never the file's name: a PNG called ``.jpg`` is
a PNG. EXIF orientation is applied, alpha of any kind is composited over white, and deeper grey is scaled to 8 bits over
its full range, so that nothing is clipped. Of several frames the first is taken; colour profiles are not applied.
"""

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

Pixels = npt.NDArray[np.uint8]


EMPTY = "empty file"


UNKNOWN = "unknown image format"


DAMAGED = "truncated or damaged"


TOO_LARGE = "too large"


UNSUPPORTED = "unsupported pixel format"


TOO_LONG = "takes too long to decode"


TOO_MUCH = "takes too much memory to decode"


CRASHING = "crashes the decoder"


# Formats that name themselves by their first bytes. PIL's others guess (TGA, PCX) or start a program (EPS).
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO")


SUFFIXES = {"JPEG": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif", "DIB": ".bmp"}  # others: the format's name


PIXEL_LIMIT = 178_000_000  # PIL itself rejects larger ones, whatever a caller allows


HEAD = 30  # bytes that ``canvas_pixels`` looks at


TWELVE_BIT, SIXTEEN_BIT = 4_095, 65_535


ORIENTATION_TAG = 0x0112


# EXIF orientation (EXIF 2.32, 4.6.4 A): how stored pixels become upright; values 1 and unknown ones are upright.
TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}


SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height


_STDERR = threading.Lock()


class UnreadableError(Exception):
    """A file that gives no pixels; the message is the reason, with the same words for the same fault."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress PIL's warnings about odd files; entered once around a batch, since it is not thread-safe."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Lead the process's standard error nowhere: libtiff writes its warnings there from C.

    One thread at a time, since a process has one. What others write meanwhile, such as a progress bar, is lost.
    """
    with _STDERR, open(os.devnull, "w") as nowhere:
        try:
            kept = os.dup(2)
        except OSError:  # there is none
            yield
            return
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def check_header(file: BinaryIO, *, max_pixels: int) -> Image.Image:
    """The image as its header describes it, no pixel decoded: size and format are known, and allowed.

    Raises:
        UnreadableError: no known format, a damaged header, or more than ``max_pixels`` pixels.
    """
    try:
        head = file.read(HEAD)
        if not head:
            raise UnreadableError(EMPTY)
        if canvas_pixels(head) > max_pixels:
            raise UnreadableError(TOO_LARGE)
        image = Image.open(file, formats=FORMATS)
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        raise UnreadableError(UNKNOWN) from None
    except Image.DecompressionBombError:
        raise UnreadableError(TOO_LARGE) from None
    except Exception as error:  # a hostile header makes PIL raise nearly anything; the caller counts, names and caps it
        raise UnreadableError(_fault(error)) from None
    if image.width * image.height > max_pixels:
        raise UnreadableError(TOO_LARGE)
    return image


def canvas_pixels(head: bytes) -> int:
    """Pixels that a WebP's first ``HEAD`` bytes declare, for which PIL takes memory as it opens the file; else 0.

    Source: RFC 9649, sections 2.5 to 2.7.
    """
    if len(head) < HEAD or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return 0
    if head[12:16] == b"VP8X":
        return (int.from_bytes(head[24:27], "little") + 1) * (int.from_bytes(head[27:30], "little") + 1)
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    return (int.from_bytes(head[26:28], "little") & 0x3FFF) * (int.from_bytes(head[28:30], "little") & 0x3FFF)


def suffix_of(content: bytes) -> str:
    """The usual suffix of an image's format, with its dot.

    Raises:
        UnreadableError: no known format.
    """
    with quiet():
        kind = check_header(io.BytesIO(content), max_pixels=PIXEL_LIMIT).format or ""
    return SUFFIXES.get(kind, f".{kind.lower()}")


def decode(content: bytes, *, max_pixels: int) -> Pixels:
    """Pixels at the delivered resolution.

    Args:
        content: the file's bytes.
        max_pixels: a larger image is rejected by its header, before it takes memory.

    Returns:
        (H, W, 1) uint8 for grey, (H, W, 3) for colour. A palette is a way of packing, so a palette image is grey when
        all its pixels are.

    Raises:
        UnreadableError: the bytes give no pixels.
    """
    return upright_pixels(check_header(io.BytesIO(content), max_pixels=max_pixels))


def upright_pixels(image: Image.Image) -> Pixels:
    """Pixels of an image that ``check_header`` opened, as ``decode`` gives them.

    Raises:
        UnreadableError: the bytes give no pixels.
    """
    try:
        with _without_stderr() if image.format == "TIFF" else contextlib.nullcontext():
            image.load()
        mode, pixels = _plain(image)
    except Exception as error:  # as in check_header: whatever PIL raises means that this file cannot be decoded
        raise UnreadableError(_fault(error)) from None
    if mode in ("I", "F") or mode.startswith("I;16"):
        plain = _eight_bits(pixels, mode, image)[..., None]  # (H, W, 1)
    elif mode in ("L", "LA", "RGB", "RGBA"):
        plain = _over_white(pixels if pixels.ndim == 3 else pixels[..., None])  # (H, W, 1 or 3)
    else:
        raise UnreadableError(UNSUPPORTED)
    if image.mode in ("P", "PA") and (plain == plain[..., :1]).all():
        plain = plain[..., :1]
    turn = TURNS.get(_orientation(image))
    return np.ascontiguousarray(turn(plain) if turn else plain)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height in pixels as the image is seen, its EXIF orientation applied; no pixel is decoded."""
    width, height = image.size
    turned = image.format != "TIFF" and _orientation(image) in SIDEWAYS  # PIL gives a TIFF's size upright already
    return (height, width) if turned else (width, height)


def stretch(pixels: Pixels, *, side: int) -> Pixels:
    """(H, W, C) pixels as (side, side, C): bilinear, antialiased when shrinking, the aspect not kept."""
    flat = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    resized = np.asarray(Image.fromarray(flat).resize((side, side), Image.Resampling.BILINEAR))
    return resized.reshape(side, side, -1)


def _fault(error: Exception) -> str:
    """What an exception of PIL's means; where its C code lacks memory, only the message says so."""
    return TOO_MUCH if isinstance(error, MemoryError) or "out of memory" in str(error).lower() else DAMAGED


def _plain(image: Image.Image) -> tuple[str, npt.NDArray[Any]]:
    """The image in one of the modes L, LA, RGB, RGBA, or in its own where it is deeper than 8 bits or unknown."""
    alpha = image.has_transparency_data
    if image.mode in ("1", "L", "LA", "La"):
        image = image.convert("LA" if alpha else "L")
    elif image.mode in ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"):
        image = image.convert("RGBA" if alpha else "RGB")
    return image.mode, np.asarray(image)


def _over_white(pixels: Pixels) -> Pixels:
    """(H, W, 2 or 4) pixels with alpha composited over white, rounded; (H, W, 1 or 3) ones unchanged."""
    if pixels.shape[-1] % 2:
        return pixels
    laid = np.ascontiguousarray(pixels[..., :-1])
    for top in range(0, len(laid), 256):  # in slabs, so that a photograph's 16-bit intermediates stay small
        colour = laid[top : top + 256].astype(np.uint16)
        alpha = pixels[top : top + 256, :, -1:].astype(np.uint16)
        laid[top : top + 256] = (colour * alpha + 255 * (255 - alpha) + 127) // 255  # at most 65,152: fits 16 bits
    return laid


def _eight_bits(values: npt.NDArray[Any], mode: str, image: Image.Image) -> Pixels:
    """(H, W) deep grey scaled to 0..255.

    16-bit files have the range [0, 65535], or [0, 4095] where that holds all values: cameras, microscopes and medical
    devices write 12 bits so. 32-bit integers and floats have no range of their own: theirs is the smallest usual one
    that holds all values, [0, 1] (floats only), [0, 255], [0, 65535], else from their minimum to their maximum.
    """
    if mode.startswith("I;16"):
        transparent = image.info.get("transparency")
        deep = values.astype(np.uint32)
        shown = deep[deep != transparent] if transparent is not None else deep
        largest = TWELVE_BIT if shown.max(initial=0) <= TWELVE_BIT else SIXTEEN_BIT
        scaled = (deep * 255 + largest // 2) // largest  # never a tie, since both are odd
        return np.where(deep == transparent, 255, scaled).astype(np.uint8)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnreadableError(UNSUPPORTED)
    usual = (SIXTEEN_BIT,) if image.format == "PPM" and mode == "I" else (255, SIXTEEN_BIT)  # PIL fills a PGM's range
    fitting = [limit for limit in ((1, *usual) if mode == "F" else usual) if low >= 0 and high <= limit]
    if fitting:
        low, high = 0.0, float(fitting[0])
    return np.rint((values.astype(np.float64) - low) * (255.0 / max(high - low, 1e-300))).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where the file has none or a damaged one, which costs no pixels."""
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF raises whatever its parser met first
        return 1
