"""Augmentation against torchvision v2 on tensors: the same operations, the same images, one draw per image.

torchvision's transforms draw once per call; an augmented set needs one draw per image, so they are called image by
image. The second ratio gives torchvision one draw for the whole batch, which no augmented set can use, for scale.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from bench.timing import Figure, figure, interleaved, rates, ratios
from winnow.transforms.operations import apply

SIDE, BATCH = 64, 256
OPERATIONS = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate", "invert", "gaussian_noise")
BILINEAR = v2.InterpolationMode.BILINEAR
WHITE = [255.0]


def _affine(
    images: Tensor, *, degrees: float = 0.0, shift: tuple[float, float] = (0, 0), shear: tuple[float, float] = (0, 0)
) -> Tensor:
    options = {"interpolation": BILINEAR, "fill": WHITE}
    moved: Tensor = functional.affine(images, degrees, list(shift), 1.0, list(shear), **options)
    return moved


def _shear(strength: float) -> float:
    return math.degrees(math.atan(0.3 * strength))


THEIRS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "shear_x": lambda images, s: _affine(images, shear=(_shear(s), 0.0)),
    "shear_y": lambda images, s: _affine(images, shear=(0.0, _shear(s))),
    "translate_x": lambda images, s: _affine(images, shift=(0.45 * SIDE * s, 0)),
    "translate_y": lambda images, s: _affine(images, shift=(0, 0.45 * SIDE * s)),
    "rotate": lambda images, s: functional.rotate(images, 30 * s, interpolation=BILINEAR, fill=WHITE),
    "invert": lambda images, s: functional.invert(images),
    "gaussian_noise": lambda images, s: functional.gaussian_noise(images, sigma=0.2 * s),
}


def measure(*, images: int, rounds: int) -> list[Figure]:
    """All default operations, one after another, on one thread; ``images`` is for the other benchmarks."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(BATCH, 1, SIDE, SIDE, generator=generator)
    strength = torch.rand(BATCH, generator=generator)

    def ours() -> None:
        for name in OPERATIONS:
            apply(name, pixels, strength, generator)

    def theirs() -> None:
        for name in OPERATIONS:
            torch.stack([THEIRS[name](image, s) for image, s in zip(pixels, strength.tolist(), strict=True)])

    def theirs_at_once() -> None:
        for name in OPERATIONS:
            THEIRS[name](pixels, 0.5)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = interleaved({"ours": ours, "theirs": theirs, "at once": theirs_at_once}, rounds=rounds)
    finally:
        torch.set_num_threads(threads)
    count = BATCH * len(OPERATIONS)
    return [
        figure("augmentation, mean of the default operations, one thread", rates(times, "ours", count), "images/s"),
        figure("torchvision v2, one draw per image", rates(times, "theirs", count), "images/s"),
        figure(
            "torchvision v2, one draw per image: its time over ours", ratios(times, "theirs", "ours"), "x", at_least=1.0
        ),
        figure("torchvision v2, one draw per batch: its time over ours", ratios(times, "at once", "ours"), "x"),
    ]
