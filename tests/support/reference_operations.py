"""The operations as Pillow does them, one 8-bit image and one strength at a time."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageEnhance, ImageOps

Pixels = npt.NDArray[np.uint8]


def _affine(image: Image.Image, a: float, b: float, c: float, d: float, e: float, f: float) -> Image.Image:
    """Read (x, y) from A (x, y) + t about the centre; Pillow's own matrix counts from the corner."""
    x, y = image.width / 2, image.height / 2
    corner = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
    return image.transform(image.size, Image.Transform.AFFINE, corner, Image.Resampling.BILINEAR)


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Callable[[Image.Image, float], Image.Image]:
    return lambda image, s: kind(image).enhance(1 + 0.9 * s)


REFERENCES: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "shear_x": lambda image, s: _affine(image, 1, 0.3 * s, 0, 0, 1, 0),
    "shear_y": lambda image, s: _affine(image, 1, 0, 0, 0.3 * s, 1, 0),
    "translate_x": lambda image, s: _affine(image, 1, 0, -0.45 * s * image.width, 0, 1, 0),
    "translate_y": lambda image, s: _affine(image, 1, 0, 0, 0, 1, -0.45 * s * image.height),
    "rotate": lambda image, s: image.rotate(30 * s, Image.Resampling.BILINEAR),
    "invert": lambda image, s: ImageChops.invert(image),
    "brightness": _enhance(ImageEnhance.Brightness),
    "contrast": _enhance(ImageEnhance.Contrast),
    "saturation": _enhance(ImageEnhance.Color),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "solarize": lambda image, s: ImageOps.solarize(image, math.ceil(255 * (1 - s))),
    "posterize": lambda image, s: ImageOps.posterize(image, 8 - round(4 * s)),
    "equalize": lambda image, s: Image.blend(image, ImageOps.equalize(image), s),
    "flip_x": lambda image, s: ImageOps.mirror(image),
    "flip_y": lambda image, s: ImageOps.flip(image),
    "rotate_180": lambda image, s: image.rotate(180),
    "scale": lambda image, s: _affine(image, 1.5**-s, 0, 0, 0, 1.5**-s, 0),
}


def reference(name: str, pixels: Pixels, strength: float) -> Pixels:
    """(H, W, C) uint8 after Pillow's own operation."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return np.asarray(REFERENCES[name](image, strength)).reshape(pixels.shape)


def inner_disc(height: int, width: int, share: float) -> npt.NDArray[np.bool_]:
    """(H, W) the pixels within a share of the half side of the centre: a geometric operation reads them from inside."""
    y, x = np.mgrid[:height, :width]
    return np.hypot((y - (height - 1) / 2) / height, (x - (width - 1) / 2) / width) < share / 2
