"""Operations that change pixel values and leave them in place.

Strengths are (B,), in [0, 1], or in [-1, 1] for the four enhancements, whose factor is 1 + 0.9 s as in AutoAugment
(Cubuk et al. 2019, table 6: 0.1 to 1.9).
"""

import torch
from torch import Tensor
from torch.nn import functional

from winnow.transforms.geometry import border_colour, straight_through, switched

NOISE = 0.2  # standard deviation at strength 1, of full scale


ENHANCE = 0.9  # how far the factor strays from 1


POSTERIZE_BITS = 4  # taken away at strength 1, of 8


CUTOUT = 0.5  # side of the square at strength 1, of the image's


LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as PIL's "L"; torchvision rounds them to 0.2989, 0.587, 0.114


def invert(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """The negative, 1 - x; all or nothing."""
    return switched(images, 1 - images, strength)


def gaussian_noise(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Independent noise on every pixel and channel, of standard deviation 0.2 s."""
    noise = torch.randn(images.shape, generator=generator, device=generator.device, dtype=images.dtype)
    return images + NOISE * _wide(strength) * noise.to(images.device)


def brightness(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Towards or away from black."""
    return images * _factor(strength)


def contrast(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Towards or away from the image's mean grey."""
    return _enhanced(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), strength)


def saturation(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Towards or away from each pixel's grey; nothing on a grey image."""
    return _enhanced(images, _grey(images), strength)


def sharpness(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Towards or away from the image smoothed by PIL's 3 x 3 kernel; border pixels stay."""
    channels = images.shape[1]
    kernel = images.new_tensor([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    smooth = functional.conv2d(images, kernel.expand(channels, 1, 3, 3), groups=channels)  # (B, C, H - 2, W - 2)
    inner = _enhanced(images[:, :, 1:-1, 1:-1], smooth, strength)
    result = images.clone()
    result[:, :, 1:-1, 1:-1] = inner
    return result


def solarize(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """The negative of every pixel at or above 1 - s; the gradient for s is that of the blend with the full negative."""
    wide = _wide(strength)
    changed = torch.where(images >= 1 - wide, 1 - images, images)
    return straight_through(changed, changed + wide * (1 - 2 * images.detach()))


def posterize(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Keep 8 - round(4 s) bits of each 8-bit value; the gradient passes straight through to the pixels and to s.

    The gradient for s is that of the blend with the coarsest image, since a rounded number of bits has none.
    """
    levels = (images.detach() * 255).round()
    step = 2 ** (POSTERIZE_BITS * _wide(strength.detach())).round()  # a power of two, (B, 1, 1, 1)
    coarsest = 2**POSTERIZE_BITS
    changed = torch.floor(levels / step) * step / 255
    worst = torch.floor(levels / coarsest) * coarsest / 255
    return straight_through(changed, images + _wide(strength) * (worst - images.detach()))


def equalize(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Blend with the image of equalised histogram, x + s (equalised - x); the pixels' gradient passes straight through.

    PIL's rule on 8-bit values, channel by channel: with n the count of pixels below a level, the level becomes
    (n + q // 2) // q for q = (pixels - pixels of the highest level) // 255; where q is 0 the channel stays.
    """
    batch, channels, height, width = images.shape
    levels = (images.detach() * 255).round().long().view(batch * channels, -1)  # (BC, HW)
    counts = torch.zeros((batch * channels, 256), dtype=torch.long, device=images.device)
    counts.scatter_add_(1, levels, torch.ones_like(levels))
    highest = counts.gather(1, levels.max(dim=1, keepdim=True).values)  # (BC, 1)
    quantum = (height * width - highest) // 255
    below = counts.cumsum(1) - counts
    table = ((below + quantum // 2) // quantum.clamp(min=1)).clamp(max=255)
    equalised = torch.where(quantum > 0, table.gather(1, levels), levels).view(images.shape).to(images.dtype) / 255
    path = images + _wide(strength) * (equalised - images.detach())
    return straight_through(torch.lerp(images.detach(), equalised, _wide(strength.detach())), path)


def cutout(images: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A square of side 0.5 s of the image, anywhere, painted in the border's colour (DeVries & Taylor 2017).

    The square's edge covers its pixels in part, so that its size has a gradient.
    """
    height, width = images.shape[2:]
    places = torch.rand((2, len(images)), generator=generator, device=generator.device, dtype=images.dtype)
    middle_y, middle_x = places.to(images.device) * places.new_tensor([[height], [width]]).to(images.device)
    rows = _covered(height, middle_y, CUTOUT * height * strength)[:, None, :, None]
    columns = _covered(width, middle_x, CUTOUT * width * strength)[:, None, None, :]
    return torch.lerp(images, border_colour(images), rows * columns)


def _covered(length: int, middle: Tensor, side: Tensor) -> Tensor:
    """(B, length) share of each pixel that the interval of that side about that middle covers."""
    left = torch.arange(length, device=middle.device, dtype=middle.dtype)[None]  # pixel i spans [i, i + 1]
    low, high = (middle - side / 2)[:, None], (middle + side / 2)[:, None]
    return (torch.minimum(high, left + 1) - torch.maximum(low, left)).clamp(min=0)


def _wide(strength: Tensor) -> Tensor:
    return strength[:, None, None, None]


def _factor(strength: Tensor) -> Tensor:
    return 1 + ENHANCE * _wide(strength)


def _enhanced(images: Tensor, degenerate: Tensor, strength: Tensor) -> Tensor:
    """PIL's ImageEnhance: degenerate + factor (image - degenerate)."""
    return degenerate + _factor(strength) * (images - degenerate)


def _grey(images: Tensor) -> Tensor:
    """(B, 1, H, W)."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
