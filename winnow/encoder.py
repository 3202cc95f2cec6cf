"""The encoder: images at the working size to points on a sphere, where images of one class lie together.

A small residual network of our own; with K outputs that are not brought to the sphere it is a classifier. Only the
fixed model is fixed; this one has to see at the working size what 32 pixels no longer show.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.network import initialise

WIDTHS = (16, 32, 64, 128)
GREY_MEAN, GREY_SPREAD = 0.5, 0.5  # pixels in [0, 1] to [-1, 1]


class Block(nn.Module):
    """Halve the sides and widen, then one residual convolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
        self.widen_bn = nn.BatchNorm2d(channels_out)
        self.refine = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.refine_bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H / 2, W / 2)."""
        x = functional.relu(self.widen_bn(self.widen(x)))
        return functional.relu(x + self.refine_bn(self.refine(x)))


class Encoder(nn.Module):
    """The network; ``dimensions`` is D."""

    def __init__(self, dimensions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 3, stride=2, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(WIDTHS[0])
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in itertools.pairwise(WIDTHS)))
        self.head = nn.Linear(WIDTHS[-1], dimensions)
        initialise(self, generator)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1], C 1 or 3, to (B, D) of unit length."""
        return functional.normalize(self.outputs(images), dim=1)

    def outputs(self, images: Tensor) -> Tensor:
        """(B, D), of any length."""
        x = ((images - GREY_MEAN) / GREY_SPREAD).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        x = functional.relu(self.stem_bn(self.stem(x)))  # (B, 16, H / 2, W / 2)
        found: Tensor = self.head(self.blocks(x).mean(dim=(2, 3)))
        return found.float()
