"""Whether an image is line art, or small."""

import numpy as np
import numpy.typing as npt

SMALL = 64  # pixels: an image with no longer side is small
LEVELS = 16  # grey levels that line art needs
LEVELS_SHARE = 0.8  # of the pixels that must have one of them: JPEG and resizing blur some
GREY_TOLERANCE = 16  # levels by which channels may differ in what is grey: JPEG's own errors
GREY_SHARE = 0.99  # of the pixels that must be grey
LOOKED_AT = 512  # pixels a side: of larger images rows and columns are skipped


def few_levels(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether an image is grey and ``LEVELS`` grey levels make up nearly all of it, as in scans of ink on paper.

    Args:
        pixels: (H, W, 1) or (H, W, 3).
    """
    step = max(1, max(pixels.shape[:2]) // LOOKED_AT)
    seen = pixels[::step, ::step]
    if seen.shape[-1] == 3:
        red, green, blue = np.moveaxis(seen, -1, 0)
        spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)  # (H, W)
        if (spread <= GREY_TOLERANCE).mean() < GREY_SHARE:
            return False
    counts = np.sort(np.bincount(seen[..., seen.shape[-1] // 2].ravel(), minlength=256))  # grey, or the green channel
    return bool(counts[-LEVELS:].sum() >= LEVELS_SHARE * counts.sum())
