"""The operations that a policy is made of, by name, each with a magnitude in [0, 1]; 0 leaves every pixel as it is.

Ranges: shear 0.3, translate 0.45 of the width, rotate 30 degrees, noise of standard deviation 0.2; scale by 1.5, stroke
0.04 of the side thicker or 0.015 thinner on each edge, elastic by 0.06 of the side; the others are AutoAugment's (Cubuk
et al. 2019): enhancement factors 0.1 to 1.9, posterize down to 4 bits, solarize down to threshold 0; cutout up to half
the side. Signs are drawn per image. An all-or-nothing operation (invert, the flips) is applied in
full at every magnitude above 0, since a blend of the two images is neither.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winnow.transforms import colour, geometry
from winnow.transforms.elastic import elastic
from winnow.transforms.geometry import clamp, straight_through
from winnow.transforms.stroke import stroke

CHUNK = 256  # images held as float at once


Moves = Callable[[Tensor, int, int], geometry.Map]  # (B,) strength, height, width


@dataclass(frozen=True)
class Operation:
    """One operation: what it does to a batch at a strength."""

    name: str
    transform: Callable[[Tensor, Tensor, torch.Generator], Tensor]  # (B, C, H, W), (B,) strength, generator
    signed: bool  # the strength is the magnitude with a random sign
    whole: bool = False  # all or nothing: applied in full at every magnitude above 0
    moves: Moves | None = None  # of an affine map; consecutive maps are multiplied and sampled once
    look: bool = False  # gives every image an appearance that untouched ones lack and changes no shape: the negative
    draws: bool = False  # noise, a place or a field, from its generator


def _affine(name: str, moves: Moves) -> Operation:
    def transform(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
        return geometry.warp(images, moves(strength, *images.shape[2:]))

    return Operation(name, transform, signed=True, moves=moves)


_ALL = (
    _affine("shear_x", geometry.shear_x),
    _affine("shear_y", geometry.shear_y),
    _affine("translate_x", geometry.translate_x),
    _affine("translate_y", geometry.translate_y),
    _affine("rotate", geometry.rotate),
    Operation("invert", colour.invert, signed=False, whole=True, look=True),
    Operation("gaussian_noise", colour.gaussian_noise, signed=False, draws=True),
    Operation("brightness", colour.brightness, signed=True),
    Operation("contrast", colour.contrast, signed=True),
    Operation("saturation", colour.saturation, signed=True),
    Operation("sharpness", colour.sharpness, signed=True),
    Operation("solarize", colour.solarize, signed=False),
    Operation("posterize", colour.posterize, signed=False),
    Operation("equalize", colour.equalize, signed=False),
    Operation("cutout", colour.cutout, signed=False, draws=True),
    Operation("flip_x", geometry.flip_x, signed=False, whole=True),
    Operation("flip_y", geometry.flip_y, signed=False, whole=True),
    Operation("rotate_180", geometry.rotate_180, signed=False, whole=True),
    _affine("scale", geometry.scale),
    Operation("stroke", stroke, signed=True),
    Operation("elastic", elastic, signed=False, draws=True),
)


OPERATIONS: Mapping[str, Operation] = MappingProxyType({operation.name: operation for operation in _ALL})


MOVING: Mapping[str, Moves] = MappingProxyType({name: o.moves for name, o in OPERATIONS.items() if o.moves})


def check_operations(names: Iterable[str]) -> None:
    """Reject a list of operations that is empty, repeats one or names an unknown one.

    Raises:
        ValueError: one sentence that starts with ``operations``.
    """
    names = list(names)
    if not names:
        raise ValueError("operations must name at least one operation")
    for name in names:
        if name not in OPERATIONS:
            raise ValueError(f"operations names {name!r}, which is unknown; known: {', '.join(OPERATIONS)}")
        if names.count(name) > 1:
            raise ValueError(f"operations names {name} {names.count(name)} times; name it once")


def apply(name: str, images: Tensor, magnitude: Tensor, generator: torch.Generator) -> Tensor:
    """Images after one operation, each at its own magnitude.

    Args:
        name: a key of ``OPERATIONS``.
        images: (B, C, H, W) floats in [0, 1]; C is 1 or 3.
        magnitude: (B,) in [0, 1]; an image at 0 stays the same bit for bit, and its magnitude still has a gradient.
        generator: of signs, noise, places and fields.

    Returns:
        (B, C, H, W) in [0, 1].

    Raises:
        ValueError: the shapes do not belong together.
    """
    if images.dim() != 4 or magnitude.shape != images.shape[:1]:
        raise ValueError(f"images (B, C, H, W) and magnitude (B,) wanted, got {images.shape} and {magnitude.shape}")
    return apply_at(name, images, _with_sign(OPERATIONS[name], magnitude, generator), generator)


def apply_at(name: str, images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """``apply`` with the signs drawn already.

    Args:
        name: a key of ``OPERATIONS``.
        images: (B, C, H, W) floats in [0, 1]; C is 1 or 3.
        strength: (B,) in [0, 1], of a signed operation in [-1, 1].
        generator: of noise, places and fields.
    """
    result = clamp(OPERATIONS[name].transform(images, strength, generator))
    still = strength.detach() == 0
    if still.any():
        result = straight_through(torch.where(still[:, None, None, None], images, result), result)
    return result


def _with_sign(operation: Operation, magnitude: Tensor, generator: torch.Generator) -> Tensor:
    """(B,) strength: the magnitude, with a random sign where the operation has one."""
    if not operation.signed:
        return magnitude
    positive = torch.rand(len(magnitude), generator=generator, device=generator.device) < 0.5
    return torch.where(positive.to(magnitude.device), magnitude, -magnitude)


def move(images: Tensor, chains: Sequence[Sequence[tuple[str, float]]], generator: torch.Generator) -> Tensor:
    """Images after affine operations one after another, multiplied out and sampled a single time.

    Sampling at every step would blur the image a little each time, and cut off what a later step moves back inside.

    Args:
        images: (B, C, H, W) floats in [0, 1].
        chains: by image the name and magnitude of each operation, in order; each name one that ``moves``.
        generator: of signs.

    Returns:
        (B, C, H, W) in [0, 1].

    Raises:
        ValueError: not a chain for every image, or an operation that is no affine map.
    """
    if len(chains) != len(images):
        raise ValueError(f"one chain per image wanted, got {len(chains)} for {len(images)} images")
    if others := {name for chain in chains for name, _ in chain if name not in MOVING}:
        raise ValueError(f"only {', '.join(MOVING)} are affine maps, got {', '.join(sorted(others))}")
    one, zero = torch.ones(len(images)), torch.zeros(len(images))
    matrix = torch.stack([one, zero, zero, zero, one, zero])  # (6, B)
    for position in range(max(map(len, chains), default=0)):
        for name, moves in MOVING.items():
            rows = [row for row, chain in enumerate(chains) if position < len(chain) and chain[position][0] == name]
            if rows:
                magnitude = torch.tensor([chains[row][position][1] for row in rows])
                strength = _with_sign(OPERATIONS[name], magnitude, generator)
                step = moves(strength, *images.shape[2:])
                matrix[:, rows] = torch.stack(geometry.one_after_another(list(matrix[:, rows]), step))
    return clamp(geometry.warp(images, list(matrix)))


def apply_to_pixels(
    name: str, pixels: npt.NDArray[np.uint8], magnitudes: npt.NDArray[np.floating], generator: torch.Generator
) -> npt.NDArray[np.uint8]:
    """``apply`` on stored pixels.

    Args:
        name: a key of ``OPERATIONS``.
        pixels: (N, H, W, C) uint8.
        magnitudes: (N,) in [0, 1].
        generator: of signs, noise and places.

    Returns:
        (N, H, W, C) uint8, rounded to the nearest level.
    """
    result = np.empty_like(pixels)
    strengths = torch.from_numpy(np.asarray(magnitudes, dtype=np.float32))
    with torch.no_grad():
        for start in range(0, len(pixels), CHUNK):
            part = slice(start, start + CHUNK)
            images = to_images(pixels[part])  # (n, C, H, W)
            result[part] = to_pixels(apply(name, images, strengths[part], generator))
    return result


def to_images(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """(N, H, W, C) uint8 as (N, C, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float() / 255


def to_pixels(images: Tensor) -> npt.NDArray[np.uint8]:
    """(N, C, H, W) in [0, 1] as (N, H, W, C) uint8, rounded to the nearest level."""
    rounded = (images * 255).round().to(torch.uint8)
    return np.ascontiguousarray(rounded.permute(0, 2, 3, 1).cpu().numpy())


@dataclass(frozen=True)
class Applied:
    """An operation that was applied to an image, and its magnitude.

    Recorded for rendering (``winnow.augmentation.rendering.fixed``), the magnitude carries the sign that was drawn, and
    an operation that draws noise, a place or a field has the seed of that draw.
    """

    operation: str
    magnitude: float
    seed: int | None = None
