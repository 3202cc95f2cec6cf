"""The operations that a policy is made of, by name, each with a magnitude in [0, 1]; 0 leaves every pixel as it is.

Ranges: shear 0.3, translate 0.45 of the width, rotate 30 degrees, noise of standard deviation 0.2; the others are
AutoAugment's (Cubuk et al. 2019): enhancement factors 0.1 to 1.9, posterize down to 4 bits, solarize down to threshold
0; cutout up to half the side. Signs are drawn per image. An operation without degrees (invert, the flips) is done
wholly at every magnitude above 0, since a blend of the two images is neither.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winnow import colour, geometry
from winnow.straight_through import clamp, straight_through

CHUNK = 256  # images held as float at once


@dataclass(frozen=True)
class Operation:
    """One operation: what it does to a batch at a strength."""

    name: str
    transform: Callable[[Tensor, Tensor, torch.Generator], Tensor]  # (B, C, H, W), (B,) strength, generator
    signed: bool  # the strength is the magnitude with a random sign
    whole: bool = False  # without degrees: done wholly at every magnitude above 0
    look: bool = False  # gives every image a look that untouched ones lack, and no shape another form: the negative


_ALL = (
    Operation("shear_x", geometry.shear_x, signed=True),
    Operation("shear_y", geometry.shear_y, signed=True),
    Operation("translate_x", geometry.translate_x, signed=True),
    Operation("translate_y", geometry.translate_y, signed=True),
    Operation("rotate", geometry.rotate, signed=True),
    Operation("invert", colour.invert, signed=False, whole=True, look=True),
    Operation("gaussian_noise", colour.gaussian_noise, signed=False),
    Operation("brightness", colour.brightness, signed=True),
    Operation("contrast", colour.contrast, signed=True),
    Operation("saturation", colour.saturation, signed=True),
    Operation("sharpness", colour.sharpness, signed=True),
    Operation("solarize", colour.solarize, signed=False),
    Operation("posterize", colour.posterize, signed=False),
    Operation("equalize", colour.equalize, signed=False),
    Operation("cutout", colour.cutout, signed=False),
    Operation("flip_x", geometry.flip_x, signed=False, whole=True),
    Operation("flip_y", geometry.flip_y, signed=False, whole=True),
    Operation("rotate_180", geometry.rotate_180, signed=False, whole=True),
)
OPERATIONS: Mapping[str, Operation] = MappingProxyType({operation.name: operation for operation in _ALL})


def check_operations(names: Iterable[str]) -> None:
    """Refuse a list of operations that is empty, repeats itself or names an unknown one.

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
        magnitude: (B,) in [0, 1]; an image at exactly 0 comes back bit for bit, and its magnitude still has a gradient.
        generator: of signs, noise and places.

    Returns:
        (B, C, H, W) in [0, 1].

    Raises:
        ValueError: the shapes do not belong together.
    """
    if images.dim() != 4 or magnitude.shape != images.shape[:1]:
        raise ValueError(f"images (B, C, H, W) and magnitude (B,) wanted, got {images.shape} and {magnitude.shape}")
    operation = OPERATIONS[name]
    strength = magnitude
    if operation.signed:
        positive = torch.rand(len(images), generator=generator, device=generator.device) < 0.5
        strength = torch.where(positive.to(images.device), magnitude, -magnitude)
    result = clamp(operation.transform(images, strength, generator))
    still = magnitude.detach() == 0
    if still.any():
        result = straight_through(torch.where(still[:, None, None, None], images, result), result)
    return result


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
