"""Images of any size as squares of one side."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from winnow.backbone.card import Interpolation, Resize

Pixels = npt.NDArray[np.uint8]

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def content_box(width: int, height: int, side: int, how: Resize) -> tuple[int, int, int, int]:
    """Where an image's content lies in its square: top, left, height and width in pixels of the square.

    A centre crop and a stretched image fill the square.

    Args:
        width: of the image, in pixels.
        height: likewise.
        side: of the square.
        how: as ``fit`` takes it.
    """
    if how != "letterbox":
        return 0, 0, side, side
    longer = max(width, height)
    inner_width, inner_height = (max(1, round(side * length / longer)) for length in (width, height))
    return (side - inner_height) // 2, (side - inner_width) // 2, inner_height, inner_width


def fit(
    pixels: Pixels, side: int, how: Resize, *, interpolation: Interpolation, antialias: bool, fill: tuple[int, ...]
) -> Pixels:
    """An image as a square.

    Args:
        pixels: (H, W, C) with 1 or 3 channels.
        side: of the square.
        how: ``letterbox`` keeps the aspect and pads, the content in the centre; ``centre`` scales the shorter side to
            the square's and crops the longer one about its centre; ``stretch`` does not keep the aspect.
        interpolation: of the resize.
        antialias: whether the filter widens when it shrinks, as Pillow's own resize does.
        fill: (C) colour of the padding.

    Returns:
        (side, side, C).
    """
    height, width, channels = pixels.shape
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    top, left, inner_height, inner_width = content_box(width, height, side, how)
    box = (0.0, 0.0, float(width), float(height))
    if how == "centre":
        shorter = min(width, height)
        across, down = (width - shorter) / 2, (height - shorter) / 2
        box = (across, down, across + shorter, down + shorter)
    resized = _resized(image, (inner_width, inner_height), box, FILTERS[interpolation], antialias)
    content = np.asarray(resized).reshape(inner_height, inner_width, channels)
    if content.shape[:2] == (side, side):
        return content.copy()  # Pillow's own memory is read-only
    square = np.empty((side, side, channels), np.uint8)
    square[:] = fill
    square[top : top + inner_height, left : left + inner_width] = content
    return square


def _resized(
    image: Image.Image,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    resample: Image.Resampling,
    antialias: bool,
) -> Image.Image:
    """The part of the image in ``box``, at ``size``; without antialiasing the filter stays 2 or 4 pixels wide."""
    if antialias:
        return image.resize(size, resample, box)
    return image.transform(size, Image.Transform.EXTENT, box, resample)
