"""Bits of an image that are alike for images which look alike, whatever their size and encoding."""

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

Bits = npt.NDArray[np.uint8]

HASH_SIDE = 16  # imagehash's hash_size: 256 bits, from 64 x 64 grey levels
THUMBNAIL = 128  # pixels of the side that the crops are taken from
CROPS = (0.0, 0.02, 0.04)  # of the side, taken off each border; a copy cropped alike has nearly the same bits
PLAIN = 8  # grey levels from darkest to lightest; with less contrast the bits say how it was encoded


NO_HASH = np.zeros((len(CROPS), HASH_SIDE**2 // 8), np.uint8)  # of what has no near-duplicates


def perceptual_hash(pixels: Bits) -> Bits:
    """(3, 32) bits, packed, of an (H, W, C) image and its crops; all zero for a plain image, which has none alike."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("L")
    small = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if np.ptp(np.asarray(small)) < PLAIN:
        return NO_HASH
    hashes = []
    for share in CROPS:
        left, right = THUMBNAIL * share, THUMBNAIL * (1 - share)
        crop = small.resize(small.size, Image.Resampling.BILINEAR, box=(left, left, right, right)) if share else small
        hashes.append(np.packbits(imagehash.phash(crop, hash_size=HASH_SIDE).hash))
    return np.stack(hashes)
