"""Thickness of strokes: whatever differs from the background grows or shrinks, dark on light as well as light on dark.

Erosion and dilation (Serra 1982), with three choices. What is compared is the distance of a colour from the background,
the border's colour, so that the polarity of an image does not matter and a colour is taken as a whole. The window is a
regular octagon, the sum of four straight segments, so that a stroke grows alike in all directions and the cost depends
on the window's size by its logarithm only. It is soft: its radius need not be whole, and what lies between two whole
lengths of a segment is interpolated between them, so that the radius has a gradient.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from winnow.transforms.geometry import border_colour

THICKER = 0.04  # radius of the window at strength 1, of the longer side; a stroke grows by as much on either side


THINNER = 0.015  # the same at strength -1: most strokes are thin, and one that shrinks further is gone


DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))  # of the four segments: a step down and right, in pixels


SEGMENT = 1 / (1 + math.sqrt(2))  # half the length of each segment, where the octagon's inner radius is 1


def stroke(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Thicker by 0.04 s of the longer side on each edge, for s below 0 thinner by 0.015 |s|.

    Args:
        images: (B, C, H, W).
        strength: (B,) in [-1, 1].
        generator: unused; nothing is drawn.
    """
    thinner = torch.signbit(strength)  # of -0.0 too, whose gradient is that of thinning
    radius = max(images.shape[2:]) * torch.where(thinner, -THINNER * strength, THICKER * strength)  # (B,) in pixels
    background = border_colour(images)
    for direction in DIRECTIONS:
        images = _along(images, background, thinner, radius * SEGMENT / math.hypot(*direction), direction)
    return images


def _along(images: Tensor, background: Tensor, thinner: Tensor, reach: Tensor, direction: tuple[int, int]) -> Tensor:
    """Each pixel replaced by the one farthest from the background (thinner: nearest to it) on a segment about it.

    Args:
        images: (B, C, H, W).
        background: (B, C, 1, 1).
        thinner: (B,).
        reach: (B,) half the length of the segment, in steps; between whole steps the results are interpolated.
        direction: of a step.
    """
    distance = (images.detach() - background).square().sum(dim=1)  # (B, H, W)
    rank = torch.where(thinner[:, None, None], -distance, distance)
    whole = reach.detach().floor()
    below, above = torch.empty_like(images), torch.empty_like(images)
    for steps in whole.unique().int().tolist():
        rows = torch.nonzero(whole == steps)[:, 0]
        below[rows] = _taken(images[rows], rank[rows], steps, direction)
        above[rows] = _taken(images[rows], rank[rows], steps + 1, direction)
    return torch.lerp(below, above, (reach - whole)[:, None, None, None])


def _taken(images: Tensor, rank: Tensor, reach: int, direction: tuple[int, int]) -> Tensor:
    """(B, C, H, W) for each pixel the one of the highest ``rank`` (B, H, W) within ``reach`` steps, itself if equal."""
    if reach == 0:
        return images
    down, right = direction
    width = images.shape[3]
    here = torch.arange(rank[0].numel(), device=images.device).view(rank.shape[1:])
    source = here + (down * width + right) * _steps_to_highest(rank, reach, direction)  # (B, H, W)
    taken = images.flatten(2).gather(2, source.flatten(1)[:, None].expand(-1, images.shape[1], -1))
    return taken.view(images.shape)


def _steps_to_highest(rank: Tensor, reach: int, direction: tuple[int, int]) -> Tensor:
    """(B, H, W) steps, negative ones too, to the highest rank within ``reach``; windows are doubled until they fit."""
    down, right = direction
    across, along = reach * abs(right), reach * down
    best = functional.pad(rank, (across, across, along, along), value=-math.inf)
    steps = torch.zeros_like(best, dtype=torch.int16)  # from the window's first pixel
    length = 1
    while length <= 2 * reach:
        jump = min(length, 2 * reach + 1 - length)
        first, second = _halves(best, jump, direction)
        steps_first, steps_second = _halves(steps, jump, direction)
        steps = torch.where(second > first, steps_second + jump, steps_first)
        best = torch.maximum(first, second)
        length += jump
    return torch.where(best > rank, steps - reach, 0).long()


def _halves(values: Tensor, jump: int, direction: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Values at each place, and those ``jump`` steps further, where both exist."""
    height, width = values.shape[1:]
    down, right = jump * direction[0], jump * direction[1]
    left = max(0, -right)
    first = values[:, : height - down, left : width - max(0, right)]
    second = values[:, down:, left + right : width - max(0, right) + right]
    return first, second
