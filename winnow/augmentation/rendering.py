"""A copy rendered again from its recorded operations: at any size, without any further draw.

``carry_out`` (winnow/augmentation/policy.py) draws signs, noise and places while it changes a batch. Here they are
drawn first (``fixed``) and recorded with the operations, so that the picture that a model saw at its own size can be
rendered at the size of the photograph. The same steps give the same picture, up to its resolution:

- Shifts, squares and places are fractions of the image as they are, and so are the growth of a stroke and the field of
  ``elastic``, which is drawn without its pixels; angles, shears and scales do not depend on its size.
- Noise and sharpness act on details. At GRAIN pixels of the longer side and below they are the operations as they are;
  above, they act at the scale that one pixel has there: noise in cells, the smoothing kernel as wide in the picture.
- ``equalize``, ``posterize`` and ``solarize`` are not linear, so that fine texture, which a small picture lacks, may
  make a difference.

Images are changed one at a time in float32 and rounded to 8 bits once at the end. Affine maps in a row are multiplied
and sampled a single time, as ``carry_out`` does; those of ``views.random_affine`` are recorded as five steps.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winnow.transforms import geometry
from winnow.transforms.colour import ENHANCE, NOISE
from winnow.transforms.operations import MOVING, OPERATIONS, Applied, apply_at, to_images, to_pixels
from winnow.transforms.views import AFFINE, affine_map

GRAIN = 64  # pixels of the longer side at which noise and sharpness are as their operations define them


STRIP = 1 << 20  # pixels that are sampled or changed at once, so that intermediates of a large photograph stay small


POINTWISE = frozenset({"invert", "brightness", "saturation", "solarize", "posterize"})  # each pixel by itself


Pixels = npt.NDArray[np.uint8]


Steps = Sequence[Applied]


def fixed(plan: Sequence[Steps], generator: torch.Generator) -> list[list[Applied]]:
    """The plan with every draw made: what it then says is all that ``render`` needs.

    Args:
        plan: by image, the operations in order, as ``draw_from_policy`` or ``draw_random_affine`` gives them.
        generator: of signs and seeds.

    Returns:
        The same operations. A signed one has a negative magnitude with probability 1/2, one that draws has a seed, and
        magnitudes are rounded as they are recorded.
    """
    return [[_fixed(step, generator) for step in steps] for steps in plan]


def _fixed(step: Applied, generator: torch.Generator) -> Applied:
    operation, magnitude, seed = OPERATIONS.get(step.operation), step.magnitude, step.seed
    if operation and operation.signed and float(torch.rand((), generator=generator)) >= 0.5:
        magnitude = -magnitude
    if operation and operation.draws:
        seed = int(torch.randint(1 << 31, (), generator=generator))
    return Applied(step.operation, _as_recorded(magnitude), seed)


def recorded(steps: Steps) -> str:
    """The JSON of a sample's ``operations``; the seed only where there is one."""
    rows = [asdict(replace(step, magnitude=_as_recorded(step.magnitude))) for step in steps]
    return json.dumps([{key: value for key, value in row.items() if value is not None} for row in rows])


def read_steps(text: str) -> list[Applied]:
    """The steps of a sample's ``operations``."""
    return [Applied(**row) for row in json.loads(text)]


def _as_recorded(magnitude: float) -> float:
    """Four decimals are finer than a level of grey, or a tenth of a pixel at the size that a model sees."""
    return round(magnitude, 4)


def render(pixels: Pixels, steps: Steps) -> Pixels:
    """One image after its steps.

    Args:
        pixels: (H, W, C) uint8; C is 1 or 3.
        steps: as ``fixed`` returns them.

    Returns:
        (H, W, C) uint8, determined by pixels and steps.

    Raises:
        ValueError: an unknown operation, an incomplete map of ``random_affine``, or noise, a square or a field without
            its seed.

    Time O(HW) a step. 12 million coloured pixels: 1 to 3 s and 0.5 GB on one core, at most 9 s (sharpness) and 0.7 GB;
    ``stroke``, O(HW log W), takes 13 s and 1.4 GB.
    """
    check(steps)
    if not steps:
        return pixels.copy()
    owned = pixels if pixels.flags.writeable else pixels.copy()  # torch takes no array that is read-only
    images = to_images(owned[None])  # (1, C, H, W)
    with torch.no_grad():
        for link in _links(steps):
            images = _change(images, link)
    result: Pixels = to_pixels(images)[0]
    return result


def check(steps: Steps) -> None:
    """Reject steps that do not say all that ``render`` needs.

    Raises:
        ValueError: with the step.
    """
    for step in steps:
        if step.operation not in OPERATIONS and step.operation not in AFFINE:
            raise ValueError(f"{step.operation!r} is no operation; known: {', '.join([*OPERATIONS, *AFFINE])}")
        if step.operation in OPERATIONS and OPERATIONS[step.operation].draws and step.seed is None:
            raise ValueError(f"{step.operation} has no seed, so what it drew is unknown; render what `fixed` returns")
    for by_hand, run in groupby((step.operation for step in steps), key=lambda name: name in AFFINE):
        names = list(run)
        if by_hand and names != list(AFFINE) * (len(names) // len(AFFINE)):
            raise ValueError(f"{', '.join(AFFINE)} are one map, in this order; got {', '.join(names)}")


def _links(steps: Steps) -> Iterator[list[Applied]]:
    """The steps; affine maps in a row together, every other one by itself."""
    moves: list[Applied] = []
    for step in steps:
        if step.operation in MOVING or step.operation in AFFINE:
            moves.append(step)
            continue
        if moves:
            yield moves
        moves = []
        yield [step]
    if moves:
        yield moves


def _change(images: Tensor, link: Steps) -> Tensor:
    """(1, C, H, W) images after one link; the argument's values may be overwritten."""
    height, width = images.shape[2:]
    name, rows = link[0].operation, max(1, STRIP // width)
    if name in MOVING or name in AFFINE:
        return _moved(images, list(_maps(link, height, width)), rows)
    if name in SCALED and max(height, width) > GRAIN:
        return SCALED[name](images, link[0])
    if name == "sharpness" and min(height, width) < 3:  # all border
        return images
    strength = torch.tensor([link[0].magnitude])
    generator = torch.Generator().manual_seed(link[0].seed or 0)
    if name in POINTWISE:
        for strip in images.split(rows, dim=2):
            strip.copy_(apply_at(name, strip, strength, generator))
        return images
    if name == "equalize":  # a channel at a time, since its counts are 64-bit
        return torch.cat([apply_at(name, channel, strength, generator) for channel in images.split(1, dim=1)], dim=1)
    return apply_at(name, images, strength, generator)


def _maps(link: Steps, height: int, width: int) -> Iterator[geometry.Map]:
    """The affine maps of a link, in order; five steps of ``random_affine`` are one."""
    values: list[float] = []
    for step in link:
        if step.operation in MOVING:
            yield MOVING[step.operation](torch.tensor([step.magnitude]), height, width)
            continue
        values.append(step.magnitude)
        if len(values) == len(AFFINE):
            yield affine_map(torch.tensor([values]), height, width)
            values = []


def _moved(images: Tensor, maps: Sequence[geometry.Map], rows: int) -> Tensor:
    """Images after all maps, sampled once, some rows at a time."""
    one, zero = torch.ones(1), torch.zeros(1)
    matrix = [one, zero, zero, zero, one, zero]
    for step in maps:
        matrix = geometry.one_after_another(matrix, step)
    fill = geometry.border_colour(images)
    images -= fill
    moved = torch.empty_like(images)
    for top in range(0, images.shape[2], rows):
        part = slice(top, min(top + rows, images.shape[2]))
        moved[:, :, part] = geometry.sample_rows(images, matrix, part)
    return moved.add_(fill).clamp_(0, 1)


def _noise(images: Tensor, step: Applied) -> Tensor:
    """Noise in square cells, GRAIN of them along the longer side; equal within a cell."""
    height, width = images.shape[2:]
    longer = max(height, width)
    cells = [max(1, round(side * GRAIN / longer)) for side in (height, width)]
    generator = torch.Generator().manual_seed(step.seed or 0)
    noise = torch.randn((*images.shape[:2], *cells), generator=generator) * (NOISE * step.magnitude)
    rows, columns = (torch.arange(side) * count // side for side, count in zip((height, width), cells, strict=True))
    wide = noise[..., columns]  # (1, C, cells, W)
    for top in range(0, height, 256):  # rows at once
        part = slice(top, top + 256)
        images[:, :, part] += wide[:, :, rows[part]]
    return images.clamp_(0, 1)


def _sharpness(images: Tensor, step: Applied) -> Tensor:
    """Away from or towards the image smoothed by PIL's kernel, which is 3 pixels wide where the longer side is GRAIN.

    The kernel [1 1 1; 1 5 1; 1 1 1] / 13 is 9 parts of the mean over 3 x 3 pixels and 4 of the pixel itself; here the
    mean is taken over a square of the same width in the picture, cut off at the border. A rim of one pixel at GRAIN
    stays as it is.
    """
    height, width = images.shape[2:]
    scale = max(height, width) / GRAIN
    reach, rim = round((3 * scale - 1) / 2), round(scale)
    inner = (slice(rim, height - rim), slice(rim, width - rim))
    for plane in images[0]:
        smooth = _mean_along(_mean_along(plane, reach).T, reach).T  # (H, W)
        away = plane - smooth
        plane[inner] += ENHANCE * step.magnitude * 9 / 13 * away[inner]
    return images.clamp_(0, 1)


def _mean_along(plane: Tensor, reach: int) -> Tensor:
    """(H, W) mean over the rows up to ``reach`` above and below each, as many as there are."""
    height = len(plane)
    sums = torch.zeros((height + 1, plane.shape[1]), dtype=torch.float64)
    torch.cumsum(plane, dim=0, dtype=torch.float64, out=sums[1:])
    rows = torch.arange(height)
    low, high = (rows - reach).clamp(min=0), (rows + reach + 1).clamp(max=height)
    return ((sums[high] - sums[low]) / (high - low)[:, None]).float()


SCALED: Mapping[str, Callable[[Tensor, Applied], Tensor]] = {"gaussian_noise": _noise, "sharpness": _sharpness}
