"""A mild affine that a person would choose by hand: the arm that a search has to beat."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from winnow.geometry import warp
from winnow.operations import to_images, to_pixels
from winnow.policy import Applied
from winnow.ranges import check_ranges

CHUNK = 1024  # images held as float at once

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Ranges:
    """How far an image may be moved; each draw is uniform within, in both directions."""

    rotate_degrees: float
    shift: float  # fraction of the width and of the height
    zoom: float  # 0.1: between 0.9 and 1.1
    shear: float  # pixels sideways a pixel

    def __post_init__(self) -> None:
        check_ranges(self)


def random_affine(pixels: Pixels, ranges: Ranges, generator: torch.Generator) -> tuple[Pixels, list[list[Applied]]]:
    """Each image turned, sheared, zoomed and shifted at once, sampled a single time, the border's colour outside.

    Args:
        pixels: (N, H, W, C) uint8.
        ranges: of the draws.
        generator: of the draws.

    Returns:
        (N, H, W, C) uint8, and by image what was done: degrees counterclockwise, pixels a pixel, a factor, and
        fractions of width and height to the right and down.
    """
    draw = 2 * torch.rand((len(pixels), 5), generator=generator) - 1  # (N, 5) in [-1, 1]
    degrees, shear = draw[:, 0] * ranges.rotate_degrees, draw[:, 1] * ranges.shear
    zoom, right, down = 1 + draw[:, 2] * ranges.zoom, draw[:, 3] * ranges.shift, draw[:, 4] * ranges.shift
    height, width = pixels.shape[1:3]
    cosine, sine = torch.cos(degrees * math.pi / 180) / zoom, torch.sin(degrees * math.pi / 180) / zoom
    # input = shear(rotate(output - shift)) / zoom: where an output pixel is read.
    to_x, to_y = -right * width, -down * height
    top = [cosine + shear * sine, -sine + shear * cosine]
    bottom = [sine, cosine]
    entries = [*top, top[0] * to_x + top[1] * to_y, *bottom, bottom[0] * to_x + bottom[1] * to_y]
    result = np.empty_like(pixels)
    for start in range(0, len(pixels), CHUNK):
        part = slice(start, start + CHUNK)
        result[part] = to_pixels(warp(to_images(pixels[part]), [entry[part] for entry in entries]))
    names = ("rotate_degrees", "shear", "zoom", "shift_x", "shift_y")
    values = torch.stack([degrees, shear, zoom, right, down], dim=1).tolist()
    return result, [[Applied(name, value) for name, value in zip(names, row, strict=True)] for row in values]
