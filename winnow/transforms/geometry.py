"""Operations that move pixels: one affine map an image, sampled bilinearly, the border's own colour outside.

All maps are about the image's centre, in pixels, so that a rotation stays one on an image that is not square. Each
gives where an output pixel is read: input = A output, as PIL's and torch's transforms do. Straight-through estimators,
for values that have no gradient of their own, are here as well.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, path: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


def straight_through(value: Tensor, path: Tensor) -> Tensor:
    """``value``, bit for bit, with the gradient of ``path``.

    Source: Bengio et al. (2013). The usual ``path + (value - path).detach()`` rounds; here a magnitude of 0 must leave
    a pixel exactly as it is.

    Args:
        value: any shape; receives no gradient.
        path: the same shape; receives all of it.
    """
    result: Tensor = _StraightThrough.apply(value.detach(), path)
    return result


def clamp(images: Tensor) -> Tensor:
    """Values clamped to [0, 1], with a gradient wherever they lay in it, 0 and 1 included.

    torch's own clamp has none at the bounds (2.14), where most pixels of a white sheet are.
    """
    inside = (images >= 0) & (images <= 1)
    return straight_through(images.clamp(0, 1), images * inside)


SHEAR = 0.3  # pixels sideways per pixel from the centre line


TRANSLATE = 0.45  # of the width (translate_y: of the height)


ROTATE_DEGREES = 30.0


SCALE = 1.5  # factor at strength 1; at -1 it is the inverse


Map = list[Tensor]  # the six entries of [A | t] row by row, each (B,), in pixels from the centre


def border_colour(images: Tensor) -> Tensor:
    """(B, C, 1, 1) median of each image's and channel's border pixels: the colour of its background.

    Edge replication would extend a stroke that touches the border into a bar. An even count has two middle values; the
    lower one is taken, so that no new colour is made.
    """
    inner = images.detach()
    rim = torch.cat([inner[:, :, 0], inner[:, :, -1], inner[:, :, 1:-1, 0], inner[:, :, 1:-1, -1]], dim=2)
    middle = (rim.shape[2] - 1) // 2  # sorted, since torch has no deterministic median on CUDA
    return rim.sort(dim=2).values[:, :, middle, None, None]  # (B, C, 1, 1)


def shear_x(strength: Tensor, height: int, width: int) -> Map:
    """Read x from x + 0.3 s y; s in [-1, 1]."""
    one, zero = torch.ones_like(strength), torch.zeros_like(strength)
    return [one, SHEAR * strength, zero, zero, one, zero]


def shear_y(strength: Tensor, height: int, width: int) -> Map:
    """Read y from y + 0.3 s x."""
    one, zero = torch.ones_like(strength), torch.zeros_like(strength)
    return [one, zero, zero, SHEAR * strength, one, zero]


def translate_x(strength: Tensor, height: int, width: int) -> Map:
    """Move right by 0.45 s of the width."""
    one, zero = torch.ones_like(strength), torch.zeros_like(strength)
    return [one, zero, -TRANSLATE * width * strength, zero, one, zero]


def translate_y(strength: Tensor, height: int, width: int) -> Map:
    """Move down by 0.45 s of the height."""
    one, zero = torch.ones_like(strength), torch.zeros_like(strength)
    return [one, zero, zero, zero, one, -TRANSLATE * height * strength]


def rotate(strength: Tensor, height: int, width: int) -> Map:
    """Turn counterclockwise by 30 s degrees, as PIL counts."""
    angle = math.radians(ROTATE_DEGREES) * strength
    cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    return [cosine, -sine, zero, sine, cosine, zero]


def scale(strength: Tensor, height: int, width: int) -> Map:
    """Enlarge by a factor of 1.5^s about the centre; below 0 shrink."""
    inverse, zero = torch.exp(-math.log(SCALE) * strength), torch.zeros_like(strength)
    return [inverse, zero, zero, zero, inverse, zero]


def one_after_another(first: Map, second: Map) -> Map:
    """The map of an image that goes through ``first`` and then ``second``: read at first(second(output))."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return [a * p + b * s, a * q + b * t, a * r + b * u + c, d * p + e * s, d * q + e * t, d * r + e * u + f]


def warp(images: Tensor, matrix: Map) -> Tensor:
    """Each image sampled through its own affine map.

    Args:
        images: (B, C, H, W).
        matrix: where each output pixel is read.

    Returns:
        (B, C, H, W); pixels read from outside have the border's colour.
    """
    fill = border_colour(images)
    return sample_rows(images - fill, matrix, slice(0, images.shape[2])) + fill


def sample_rows(images: Tensor, matrix: Map, rows: slice) -> Tensor:
    """(B, C, h, W): some rows of each image sampled through its own affine map, 0 outside.

    Args:
        images: (B, C, H, W).
        matrix: where each output pixel is read.
        rows: the h rows of the result that are sampled; start and stop are given.
    """
    height, width = images.shape[2:]
    aspect = height / width  # the grid's coordinates run from -1 to 1 in both directions
    a, b, c, d, e, f = matrix
    entries = [a, b * aspect, c * (2 / width), d / aspect, e, f * (2 / height)]
    affine = torch.stack(entries, dim=1).view(-1, 2, 3)  # (B, 2, 3)
    # One product with the pixel centres is affine_grid at a sixth of its time, and half the time of the whole warp.
    grid = (affine @ _centres(images, rows)).view(len(affine), 2, -1, width).permute(0, 2, 3, 1)  # (B, h, W, 2)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def _centres(images: Tensor, rows: slice) -> Tensor:
    """(3, hW) x, y and 1 of the centre of every pixel of some rows, in the grid's coordinates."""
    height, width = images.shape[2:]
    y = (2 * torch.arange(rows.start, rows.stop, device=images.device, dtype=images.dtype) + 1) / height - 1
    x = (2 * torch.arange(width, device=images.device, dtype=images.dtype) + 1) / width - 1
    return torch.stack([x.repeat(len(y)), y.repeat_interleave(width), torch.ones_like(x).repeat(len(y))])


def flip_x(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror left and right; all or nothing."""
    return switched(images, images.flip(3), strength)


def flip_y(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror top and bottom; all or nothing."""
    return switched(images, images.flip(2), strength)


def rotate_180(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Turn upside down; all or nothing."""
    return switched(images, images.flip(2, 3), strength)


def switched(images: Tensor, changed: Tensor, strength: Tensor) -> Tensor:
    """An all-or-nothing operation: ``changed`` at any strength above 0.

    Half a flip is two images on top of each other and half an inversion is a blank sheet, so images are never blended.
    The gradient for the pixels is that of ``changed``, the one for the strength that of the blend x + s (changed - x).
    """
    way = (changed - images).detach()
    return straight_through(changed, changed + strength[:, None, None, None] * way)
