"""Cards, images and a user's modules for tests of backbones."""

import dataclasses
import textwrap
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from winnow.backbone.card import Card
from winnow.backbone.normalise import normalised

PLAIN = Card(
    model="torchvision:resnet18",
    requested="torchvision:resnet18",
    weights="default",
    pixels=224,
    resize="letterbox",
    frozen=True,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    interpolation="bilinear",
    antialias=True,
    why="params.yaml: model is torchvision:resnet18",
)


def card_of(model: str, weights: str = "none", pixels: int = 64) -> Card:
    """The card of a model."""
    return dataclasses.replace(PLAIN, model=model, weights=weights, pixels=pixels, frozen=False)


def images(count: int, side: int = 64, channels: int = 3) -> np.ndarray:
    """(count, side, side, channels) uint8 of noise, always the same."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def batch(count: int, side: int = 64) -> Tensor:
    """The same images as a network takes them."""
    return normalised(torch.from_numpy(images(count, side)), PLAIN)


def write_module(folder: Path, name: str, source: str) -> None:
    """A module of the user's own."""
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
