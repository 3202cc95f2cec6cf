"""Random views of images within given ranges: rotation, shear, zoom, shift, and for pairs inversion and noise.

``random_affine`` is an augmentation that a person would choose by hand, which a policy search has to beat.
``random_pair_views`` are the views that the out-of-fold networks train on: shear, inversion, shift, rotation, zoom and
Gaussian noise, as in the method. Each view is sampled once from the working size, the border's own colour outside.
"""

import math
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional

from winnow.transforms.geometry import Map, warp
from winnow.transforms.operations import Applied, to_images, to_pixels

CHUNK = 1024  # images held as float at once

Pixels = npt.NDArray[np.uint8]


CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)

Degrees = Annotated[float, Field(ge=0, lt=360)]
Fraction = Annotated[float, Field(ge=0, lt=1)]  # at 1, of size or of contrast, nothing would be left of an image


@dataclass(frozen=True, config=CONFIG)
class Ranges:
    """How far an image may be moved; each draw is uniform within, in both directions."""

    rotate_degrees: Degrees
    shift: Fraction  # of the width and of the height
    zoom: Fraction  # 0.1: between 0.9 and 1.1
    shear: Fraction  # pixels sideways per pixel


AFFINE = ("rotate_degrees", "shear", "zoom", "shift_x", "shift_y")  # recorded together, in this order: one map


def random_affine(pixels: Pixels, ranges: Ranges, generator: torch.Generator) -> tuple[Pixels, list[list[Applied]]]:
    """Each image rotated, sheared, zoomed and shifted at once, sampled a single time, the border's colour outside.

    Args:
        pixels: (N, H, W, C) uint8.
        ranges: of the draws.
        generator: of the draws.

    Returns:
        (N, H, W, C) uint8, and by image what was applied: degrees counterclockwise, pixels per pixel, a factor, and
        fractions of width and height to the right and down.
    """
    values = _draw_affine(ranges, len(pixels), generator)  # (N, 5)
    entries = affine_map(values, *pixels.shape[1:3])
    result = np.empty_like(pixels)
    for start in range(0, len(pixels), CHUNK):
        part = slice(start, start + CHUNK)
        result[part] = to_pixels(warp(to_images(pixels[part]), [entry[part] for entry in entries]))
    return result, _as_applied(values)


def draw_random_affine(ranges: Ranges, count: int, generator: torch.Generator) -> list[list[Applied]]:
    """By image what ``random_affine`` would apply, without doing it.

    Args:
        ranges: of the draws.
        count: images.
        generator: of the draws.
    """
    return _as_applied(_draw_affine(ranges, count, generator))


def affine_map(values: Tensor, height: int, width: int) -> Map:
    """Where ``random_affine`` reads each output pixel: input = shear(rotate(output - shift)) / zoom.

    Args:
        values: (N, 5) in the order of AFFINE.
        height: in pixels.
        width: in pixels.
    """
    degrees, shear, zoom, right, down = values.unbind(dim=1)
    cosine, sine = torch.cos(degrees * math.pi / 180) / zoom, torch.sin(degrees * math.pi / 180) / zoom
    to_x, to_y = -right * width, -down * height
    top = [cosine + shear * sine, -sine + shear * cosine]
    bottom = [sine, cosine]
    return [*top, top[0] * to_x + top[1] * to_y, *bottom, bottom[0] * to_x + bottom[1] * to_y]


def _draw_affine(ranges: Ranges, count: int, generator: torch.Generator) -> Tensor:
    """(N, 5) in the order of AFFINE."""
    draw = 2 * torch.rand((count, 5), generator=generator) - 1  # (N, 5) in [-1, 1]
    degrees, shear = draw[:, 0] * ranges.rotate_degrees, draw[:, 1] * ranges.shear
    zoom, right, down = 1 + draw[:, 2] * ranges.zoom, draw[:, 3] * ranges.shift, draw[:, 4] * ranges.shift
    return torch.stack([degrees, shear, zoom, right, down], dim=1)


def _as_applied(values: Tensor) -> list[list[Applied]]:
    return [[Applied(name, value) for name, value in zip(AFFINE, row, strict=True)] for row in values.tolist()]


@dataclass(frozen=True, config=CONFIG)
class PairViews:
    """How far a view may stray from its image; draws are uniform within."""

    shear: Fraction  # pixels sideways per pixel
    invert: Fraction  # share of the views that are inverted
    shift: Fraction  # of the width and of the height
    rotate_degrees: Degrees
    zoom: Fraction  # 0.1: between 0.9 and 1.1
    noise: Fraction  # largest standard deviation, of full scale


def random_pair_views(images: Tensor, views: PairViews, generator: torch.Generator) -> Tensor:
    """One random view of each image.

    Args:
        images: (B, C, H, W) uint8.
        views: the ranges.
        generator: CPU generator of every draw.

    Returns:
        (B, C, H, W) float32 in [0, 1].
    """
    draw = (2 * torch.rand(len(images), 5, generator=generator) - 1).to(images.device)  # (B, 5) in [-1, 1]
    inverted = (torch.rand(len(images), generator=generator) < views.invert).to(images.device)
    noise = (torch.rand(len(images), generator=generator) * views.noise).to(images.device)  # (B,)
    height, width = images.shape[2:]
    angle, shear = draw[:, 0] * math.radians(views.rotate_degrees), draw[:, 1] * views.shear
    zoom = 1 + draw[:, 2] * views.zoom
    cosine, sine = angle.cos() / zoom, angle.sin() / zoom
    rows = [cosine, cosine * shear - sine, width * views.shift * draw[:, 3]]
    rows += [sine, sine * shear + cosine, height * views.shift * draw[:, 4]]
    moved = warp(images.float() / 255, rows)  # (B, C, H, W)
    moved = torch.where(inverted[:, None, None, None], 1 - moved, moved)
    if views.noise > 0:
        moved = moved + noise[:, None, None, None] * torch.randn(moved.shape, generator=generator).to(moved.device)
    return moved.clamp(0, 1)


def random_views(images: Tensor, ranges: Ranges, generator: torch.Generator, *, side: int) -> Tensor:
    """A light random affine of each image, sampled straight to a model's input size.

    Args:
        images: (B, C, H, W) uint8.
        ranges: of the draws, which are uniform within.
        generator: CPU generator.
        side: width and height of the result.

    Returns:
        (B, C, side, side) float32, in 0..255.
    """
    draw = (2 * torch.rand(len(images), 5, generator=generator) - 1).to(images.device)  # (B, 5) in [-1, 1]
    angle = draw[:, 0] * math.radians(ranges.rotate_degrees)
    zoom = 1 + draw[:, 1] * ranges.zoom
    shear = draw[:, 2] * ranges.shear
    cosine, sine = angle.cos() * zoom, angle.sin() * zoom
    # Rotation and zoom after a horizontal shear, as grid coordinates that run from -1 to 1.
    top = torch.stack([cosine, cosine * shear - sine, 2 * ranges.shift * draw[:, 3]], dim=1)
    bottom = torch.stack([sine, sine * shear + cosine, 2 * ranges.shift * draw[:, 4]], dim=1)
    affine = torch.stack([top, bottom], dim=1)  # (B, 2, 3)
    shape = [len(images), images.shape[1], side, side]
    grid = functional.affine_grid(affine, shape, align_corners=False)
    return functional.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
