"""What an image of no class looks like, for planting: kinds for small images of equal size, and for photographs."""

import functools
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, JpegImagePlugin
from sklearn.datasets import load_sample_images

from winnow.pictures.decode import PIXEL_LIMIT, check_header, quiet

Pixels = npt.NDArray[np.uint8]
Ruin = Callable[[Pixels, Pixels, np.random.Generator], Pixels]  # the image, one of another class, draws

BLUR = (0.08, 0.12)  # radius in shares of the shorter side: colours are left, and where they are
CROP = (0.3, 0.8)  # side of a crop of another photograph, in shares of the largest of its aspect

# Those that Pillow writes in 8 bits at any size; what is ruined in another format becomes a PNG.
WRITTEN = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM")


def blended(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """The mean of two images of different classes."""
    return ((image.astype(np.uint16) + other) // 2).astype(np.uint8)


def shuffled(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """The image's 4 x 4 blocks in another order."""
    side = image.shape[0] // 4
    blocks = [image[y : y + side, x : x + side] for y in range(0, 4 * side, side) for x in range(0, 4 * side, side)]
    order = rng.permutation(16)
    rows = [np.concatenate([blocks[n] for n in order[row : row + 4]], axis=1) for row in range(0, 16, 4)]
    return np.concatenate(rows)


def smeared(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """One column of the image, drawn over its whole width."""
    return np.repeat(image[:, [int(rng.integers(image.shape[1]))]], image.shape[1], axis=1)


def noisy(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """Noise with the image's own mean and spread."""
    noise = rng.normal(image.mean(), image.std(), image.shape)
    return noise.clip(0, 255).astype(np.uint8)


def blurred(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """The image as out of focus as no camera leaves it."""
    radius = rng.uniform(*BLUR) * min(image.shape[:2])
    return _pixels(_picture(image).filter(ImageFilter.GaussianBlur(radius)), image)


def one_colour(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """A colour, or a grey, from edge to edge."""
    return np.broadcast_to(rng.integers(0, 256, image.shape[-1], dtype=np.uint8), image.shape).copy()


def static(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """Every pixel drawn by itself."""
    return rng.integers(0, 256, image.shape, dtype=np.uint8)


def elsewhere(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """Another photograph, of none of the classes: a part of one of scikit-learn's two, mirrored or not, recoloured."""
    photograph = _photographs()[int(rng.integers(2))]
    rows, columns = photograph.shape[:2]
    height, width = image.shape[:2]
    scale = min(rows / height, columns / width) * rng.uniform(*CROP)
    down, across = max(1, int(height * scale)), max(1, int(width * scale))
    top, left = int(rng.integers(rows - down + 1)), int(rng.integers(columns - across + 1))
    part = photograph[top : top + down, left : left + across, rng.permutation(3)]
    part = part[:, ::-1] if rng.integers(2) else part
    return _pixels(_picture(np.ascontiguousarray(part)).resize((width, height), Image.Resampling.BICUBIC), image)


SMALL_JUNK: tuple[Ruin, ...] = (blended, shuffled, smeared, noisy)
PHOTOGRAPH_JUNK: tuple[Ruin, ...] = (blurred, one_colour, static, elsewhere)


def encoded_like(pixels: Pixels, content: bytes) -> bytes:
    """Pixels in the format of other bytes, a JPEG with their own tables, so that its quality tells nothing.

    Args:
        pixels: (H, W, 1 or 3), upright; nothing but pixels and format is passed on.
        content: of the image that they stand for.
    """
    with quiet():
        before = check_header(io.BytesIO(content), max_pixels=PIXEL_LIMIT)
    kind = {"MPO": "JPEG"}.get(before.format or "", before.format)
    options: dict[str, Any] = {}
    if kind == "JPEG" and isinstance(before, JpegImagePlugin.JpegImageFile):
        sampling = JpegImagePlugin.get_sampling(before)
        options = {"qtables": before.quantization, "subsampling": sampling}
    sink = io.BytesIO()
    _picture(pixels).save(sink, format=kind if kind in WRITTEN else "PNG", **options)
    return sink.getvalue()


@functools.cache
def _photographs() -> tuple[Pixels, ...]:
    return tuple(load_sample_images().images)


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _pixels(picture: Image.Image, like: Pixels) -> Pixels:
    """(H, W, C) pixels with as many channels as ``like`` has."""
    return np.asarray(picture.convert("L" if like.shape[-1] == 1 else "RGB")).reshape(like.shape)
