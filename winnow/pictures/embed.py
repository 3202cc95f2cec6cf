"""Pictures inside a page: data URIs of an image's thumbnail, bounded in bytes."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from winnow.pictures.decode import FORMATS, quiet
from winnow.pictures.thumbnail import SIDE, thumbnail

PNG_BYTES = 6800  # per SIDE: line art and small greys are whole PNGs; a photograph is a fifth of that as WebP


QUALITIES = (80, 60, 40, 20)  # of a WebP; the first within the bound


PLAIN_MODES = ("1", "L", "RGB")  # what a browser shows as Pillow reads it


@dataclass(frozen=True)
class Picture:
    """An image as a page holds it."""

    uri: str  # data URI
    width: int  # pixels
    height: int


def embed(content: bytes, side: int = SIDE, *, limit: int | None = None) -> Picture:
    """An image of any format as a picture of a page: a small PNG whole, else a thumbnail as PNG or WebP.

    Args:
        content: the file's bytes.
        side: pixels of the longer side, at most.
        limit: bytes of the picture, at most, before base64 adds a third: quality goes down first, then size. None sets
            no bound.

    Raises:
        UnreadableError: the bytes give no pixels.
    """
    most = PNG_BYTES * side // SIDE if limit is None else min(limit, PNG_BYTES * side // SIDE)
    if len(content) <= most and (size := _plain_png_size(content)) and max(size) <= side:
        return Picture(png_uri(content), *size)
    pixels = thumbnail(content, side)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if max(image.size) < side and len(png := _encoded(image, "PNG")) <= most:  # it kept its own pixels
        return Picture(png_uri(png), *image.size)
    image = image.convert("RGB")
    while True:
        for quality in QUALITIES:
            webp = _encoded(image, "WEBP", quality=quality)
            if limit is None or len(webp) <= limit:
                return Picture(_uri("image/webp", webp), *image.size)
        if max(image.size) == 1:
            raise ValueError(f"limit must leave room for a WebP of one pixel, {len(webp)} bytes, got {limit}")
        image = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.BICUBIC)


def picture_uri(content: bytes, *, side: int = SIDE) -> str:
    """Data URI of an image of any format, as ``embed`` makes it."""
    return embed(content, side).uri


def png_uri(png: bytes) -> str:
    """Data URI of a PNG, whole."""
    return _uri("image/png", png)


def _plain_png_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG that a browser shows as it was analysed; None for whatever else.

    One with transparency, an orientation, several frames or 16 bits is shown otherwise, or moves.
    """
    try:
        with quiet(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            plain = image.format == "PNG" and image.mode in PLAIN_MODES and not image.has_transparency_data
            return image.size if plain and getattr(image, "n_frames", 1) == 1 and not image.getexif() else None
    except Exception:  # a damaged header makes Pillow raise nearly anything; the thumbnail says what is wrong
        return None


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    sink = io.BytesIO()
    image.save(sink, format=kind, **options)
    return sink.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
