"""A source of up to 1,000 classes: two digits on one of ten patterns, each image drawn in its own way, in 32 pixels.

A class is a number of three digits: the first is the pattern of the ground, the others are written on it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from bench.junk import SMALL_JUNK, Pixels
from bench.plant import Row, Shares, plant_into
from winnow.dataset.images import encode_png

SIDE = 32
OVER = 2  # times as large as it is drawn
FONT = ImageFont.load_default(round(0.72 * SIDE * OVER))
LABEL_BOOK = 5  # images a class
TEST = 10
SHARES = Shares(wrong=0.04, junk=0.03, test=0.0)
MOST = 1000

Field = npt.NDArray[np.floating[Any]]  # (H, W) in [0, 1]
Pattern = Callable[[Field, Field], Field]  # of y and x, in periods of the pattern

PATTERNS: tuple[Pattern, ...] = (
    lambda y, x: 0 * y,
    lambda y, x: (y % 1 < 0.5) * 1.0,
    lambda y, x: (x % 1 < 0.5) * 1.0,
    lambda y, x: ((x + y) % 1 < 0.5) * 1.0,
    lambda y, x: ((x - y) % 1 < 0.5) * 1.0,
    lambda y, x: ((x % 1 < 0.5) ^ (y % 1 < 0.5)) * 1.0,
    lambda y, x: (np.hypot(x % 1 - 0.5, y % 1 - 0.5) < 0.3) * 1.0,
    lambda y, x: ((x % 1 < 0.2) | (y % 1 < 0.2)) * 1.0,
    lambda y, x: (np.hypot(x - x.mean(), y - y.mean()) % 1 < 0.5) * 1.0,
    lambda y, x: (x < x.mean()) * 1.0,
)


def draw_number(number: int, rng: np.random.Generator) -> Pixels:
    """(SIDE, SIDE, 3) pixels of one image of a class.

    Args:
        number: of the class, 0 to 999.
        rng: of this image: colours, phase and period of the pattern, place and tilt of the digits.
    """
    side = SIDE * OVER
    period = side / rng.uniform(3.5, 4.5)
    y, x = (np.arange(side) / period + rng.uniform(0, 1) for _ in range(2))
    ground = PATTERNS[number // 100](*np.broadcast_arrays(y[:, None], x[None]))[..., None]  # (H, W, 1)
    dark, light = rng.uniform(90, 140, 3), rng.uniform(190, 255, 3)
    sheet = Image.new("L", (side, side))
    middle = side / 2 + rng.uniform(-3, 3, 2)
    ImageDraw.Draw(sheet).text((middle[0], middle[1]), f"{number % 100:02d}", fill=255, font=FONT, anchor="mm")
    ink = np.asarray(sheet.rotate(rng.uniform(-10, 10), Image.Resampling.BILINEAR))[..., None] / 255  # (H, W, 1)
    drawn = (light + (dark - light) * ground) * (1 - ink) + rng.uniform(0, 50, 3) * ink
    small = drawn.reshape(SIDE, OVER, SIDE, OVER, 3).mean((1, 3)) + rng.normal(0, 4, (SIDE, SIDE, 1))
    pixels: Pixels = small.clip(0, 255).astype(np.uint8)
    return pixels


def write_classes(out: Path, *, classes: int, images: int, seed: int = 0) -> list[Row]:
    """Write a zip with the splits train, label_book and test, and give the rows of its truth.csv.

    Args:
        out: the zip.
        classes: of at most 1,000, evenly spread over the patterns.
        images: of a class, in all splits together.
        seed: of the images and the faults.

    Raises:
        ValueError: more classes than there are, or too few images for train to have any.
    """
    if not 2 <= classes <= MOST or images <= LABEL_BOOK + TEST:
        raise ValueError(
            f"classes must be 2 to {MOST} and images more than {LABEL_BOOK + TEST}, got {classes} and {images}"
        )
    ends = ((LABEL_BOOK, "label_book"), (LABEL_BOOK + TEST, "test"), (images, "train"))
    places = {}
    for number in (place * MOST // classes for place in range(classes)):
        for image in range(images):
            split = next(split for end, split in ends if image < end)
            places[f"{split}/{number:03d}/{image:04d}.png"] = (number, image)

    def read(name: str) -> bytes:
        return encode_png(draw_number(places[name][0], np.random.default_rng([seed, *places[name]])))

    return plant_into(out, list(places), read, SMALL_JUNK, shares=SHARES, seed=seed)
