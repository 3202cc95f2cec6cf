"""Junk planted among the images: pictures made of the source's own that show no class, as networks may meet them.

Four kinds, of strokes and textures that are the source's own, so that a network cannot tell them by their style: an
image's quarters shuffled, halves of two images, two images over one another, and the mean of two. Against planted truth
their probabilities for a label are distributed as those of scribbles, of letters and of half-empty scans
(docs/log/2026-11-27-ensemble.md).
"""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

KINDS = ("quarters", "halves", "overlaid", "mean")


def plant_junk(images: Pixels, count: int, rng: np.random.Generator) -> Pixels:
    """Junk images, the kinds in turn.

    Args:
        images: (N, H, W, C), N at least 2.
        count: J.
        rng: of the images that each is made of.

    Returns:
        (J, H, W, C).
    """
    if len(images) < 2:
        raise ValueError(f"junk is made of at least 2 images, got {len(images)}")
    made = np.empty((count, *images.shape[1:]), np.uint8)
    for number in range(count):
        first, second = rng.choice(len(images), size=2, replace=False)
        made[number] = _made(KINDS[number % len(KINDS)], images[first], images[second], rng)
    return made


def _made(kind: str, first: Pixels, second: Pixels, rng: np.random.Generator) -> Pixels:
    """(H, W, C) of one kind."""
    if kind == "quarters":
        return _quarters(first, rng)
    if kind == "halves":
        return _halves(first, second, upright=bool(rng.integers(2)))
    if kind == "overlaid":
        return _overlaid(first, second)
    return ((first.astype(np.uint16) + second) // 2).astype(np.uint8)


def _quarters(image: Pixels, rng: np.random.Generator) -> Pixels:
    """The four quarters in another order; a middle row or column of odd sides stays."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    places = [
        (slice(0, height) if top else slice(-height, None), slice(0, width) if left else slice(-width, None))
        for top in (True, False)
        for left in (True, False)
    ]
    order = rng.permutation(4)
    if (order == np.arange(4)).all():
        order = order[::-1]
    made = image.copy()
    for place, taken in zip(places, order.tolist(), strict=True):
        made[place] = image[places[taken]]
    return made


def _halves(first: Pixels, second: Pixels, *, upright: bool) -> Pixels:
    """The left, or the upper, half of one image with the other half of another."""
    made = first.copy()
    if upright:
        made[:, made.shape[1] // 2 :] = second[:, made.shape[1] // 2 :]
    else:
        made[made.shape[0] // 2 :] = second[made.shape[0] // 2 :]
    return made


def _overlaid(first: Pixels, second: Pixels) -> Pixels:
    """Of each pixel that of the image which differs more from its own background there: the median of its pixels."""
    away = [
        np.abs(one - np.median(one, axis=(0, 1))).sum(axis=-1, keepdims=True)
        for one in (first.astype(np.float64), second.astype(np.float64))
    ]
    return np.where(away[0] >= away[1], first, second)
