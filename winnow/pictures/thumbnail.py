"""Small pictures of images as delivered: any format, any size, upright, the aspect kept."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from winnow.pictures.decode import PIXEL_LIMIT, check_header, quiet, upright_pixels, upright_size

SIDE = 160  # pixels of the longer side, at most: enough to see what a photograph shows


REDUCTION = 2  # a JPEG is decoded at the smallest of its own scales that is at least this many times the thumbnail


def thumbnail(content: bytes, side: int = SIDE) -> npt.NDArray[np.uint8]:
    """Pixels of an image, its longer side reduced to ``side``; a smaller image keeps its own pixels.

    A JPEG is decoded at an eighth, a quarter or half of its size where that is enough, in a fraction of the time and
    memory; other formats are decoded whole. Not thread-safe, since Pillow's warnings are suppressed.

    Args:
        content: the file's bytes.
        side: pixels of the longer side, at most; at least 1.

    Returns:
        (H, W, 1) uint8 for grey, (H, W, 3) for colour, upright.

    Raises:
        UnreadableError: the bytes give no pixels.
        ValueError: side is below 1.
    """
    if side < 1:
        raise ValueError(f"side must be at least 1, got {side}")
    with quiet():
        image = check_header(io.BytesIO(content), max_pixels=PIXEL_LIMIT)
        width, height = upright_size(image)
        if max(width, height) <= side:
            return upright_pixels(image)
        scale = side / max(width, height)
        fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
        image.draft(None, _at_least(image, REDUCTION * side))  # does nothing to other formats
        pixels = upright_pixels(image)
    plain = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    small = np.asarray(plain.resize(fitted, Image.Resampling.BICUBIC, reducing_gap=REDUCTION))
    return small.reshape(*small.shape[:2], -1)


def _at_least(image: Image.Image, side: int) -> tuple[int, int]:
    """The size of the image as stored, not yet upright, with this longer side."""
    scale = side / max(image.size)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))
