r"""Smooth random distortion, as a hand varies that writes the same thing twice.

Source: Simard, Steinkraus and Platt (2003): white noise smoothed by a Gaussian displaces the pixels. Differs: the noise
is drawn as the coefficients of its cosine series, and not pixel by pixel, so that the same draw is the same
displacement at every size of the image; and every field is scaled to the same root mean square, so that a magnitude
means the same for every draw.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from winnow.transforms.geometry import border_colour

DISPLACEMENT = 0.06  # root mean square at strength 1, of the width (down: of the height)


SMOOTHNESS = 0.12  # standard deviation of the Gaussian, of the width and of the height


WAVES = 8  # half periods across the image at most; the Gaussian leaves less than 2 % of the next


STRIP = 1 << 20  # pixels that are sampled at once, so that the grid of a large photograph stays small


def elastic(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Read each pixel from a place that a smooth random field displaces by 0.06 s; the border's colour outside.

    Args:
        images: (B, C, H, W).
        strength: (B,) in [0, 1].
        generator: of the fields.
    """
    height, width = images.shape[2:]
    field = draw_field(len(images), generator, dtype=images.dtype).to(images.device)
    field = DISPLACEMENT * strength[:, None, None, None] * field
    fill = border_colour(images)
    ink, rows = images - fill, max(1, STRIP // width)
    strips = [_sample(ink, field, slice(top, min(top + rows, height))) for top in range(0, height, rows)]
    return torch.cat(strips, dim=2) + fill


def draw_field(count: int, generator: torch.Generator, *, dtype: torch.dtype = torch.float32) -> Tensor:
    r"""Coefficients of random displacements, $u(x, y) = \sum_{kl} a_{kl} \cos(\pi k y) \cos(\pi l x)$, x and y in 0..1.

    White noise in a mirror-bounded square, smoothed by a Gaussian of standard deviation $\sigma$, has independent
    normal coefficients weighted by $\exp(-(\pi \sigma)^2 (k^2 + l^2) / 2)$. The constant is left out, since a shift is
    an operation of its own, and each field divided by its root mean square over the square.

    Args:
        count: B fields.
        generator: of the draws; a field takes as many at every size of an image.
        dtype: of the result.

    Returns:
        (B, 2, 1 + WAVES, 1 + WAVES): of the displacement to the right and down, by k and l.
    """
    waves = torch.arange(WAVES + 1, dtype=dtype)
    weight = torch.exp(-((math.pi * SMOOTHNESS * waves) ** 2) / 2)  # (1 + WAVES,)
    shape = (count, 2, WAVES + 1, WAVES + 1)
    drawn = torch.randn(shape, generator=generator, device=generator.device, dtype=dtype).cpu()
    drawn = drawn * weight[:, None] * weight
    drawn[:, :, 0, 0] = 0
    unit = drawn / drawn.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
    norm = torch.where(waves > 0, math.sqrt(2), 1.0).to(dtype)  # the mean square of a cosine is a half
    return unit * norm[:, None] * norm


def displacement(field: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """(B, 2, h, w) values of fields at places.

    Args:
        field: (B, 2, 1 + WAVES, 1 + WAVES) as ``draw_field`` gives it.
        y: (h,) from 0 at the top to 1 at the bottom.
        x: (w,) from 0 at the left to 1 at the right.
    """
    waves = math.pi * torch.arange(field.shape[2], device=field.device, dtype=field.dtype)
    down, right = torch.cos(waves[:, None] * y), torch.cos(waves[:, None] * x)  # (1 + WAVES, h), (1 + WAVES, w)
    return down.T @ field @ right


def _sample(images: Tensor, field: Tensor, rows: slice) -> Tensor:
    """(B, C, h, W) some rows of the images read from displaced places, 0 outside."""
    height, width = images.shape[2:]
    y = (torch.arange(rows.start, rows.stop, device=images.device, dtype=images.dtype) + 0.5) / height
    x = (torch.arange(width, device=images.device, dtype=images.dtype) + 0.5) / width
    moved = displacement(field, y, x)  # (B, 2, h, W)
    grid = 2 * torch.stack([moved[:, 0] + x, moved[:, 1] + y[:, None]], dim=3) - 1  # the grid runs from -1 to 1
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
