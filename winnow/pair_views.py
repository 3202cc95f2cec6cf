"""The views that the out-of-fold networks train on: six changes that leave a class as it is.

Shear, inversion, shift, rotation, zoom and Gaussian noise, as the method has them. Each view is sampled once from the
working size, the border's own colour outside.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from winnow.geometry import warp
from winnow.ranges import check_ranges


@dataclass(frozen=True)
class PairViews:
    """How far a view may stray from its image; draws are uniform within."""

    shear: float  # pixels sideways a pixel
    invert: float  # share of the views that are inverted
    shift: float  # fraction of the width and of the height
    rotate_degrees: float
    zoom: float  # 0.1: between 0.9 and 1.1
    noise: float  # largest standard deviation, of full scale

    def __post_init__(self) -> None:
        check_ranges(self)


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
