"""What a look at an image is worth: how likely it is that a person would decide otherwise than the pipeline did.

    kept as delivered   max(1 - |2 q - 1|, c / 2)         q: label quality, 0.5 the threshold
    relabelled          max(1 - p(new label), c / 2)      p: probability out of fold
    dropped             max(1 - |2 q - 1|, max p, c / 2)  an image that surely shows some class can be relabelled

each in [0, 1]. c is the contradiction: the share of its neighbours of another label (of a dropped image: of the label
delivered), or, where the two ensembles name different classes, the smaller of their probabilities. It counts half:
neighbours of another class are common where classes lie close. An image of a group of near-duplicates under different
labels is worth 1, since one of them is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from winnow.review.records import Image

THRESHOLD = "near the threshold"
DUPLICATES = "near-duplicates"
CONTRADICTION = "contradiction"
SAMPLE = "random sample"
SURE = "sure"
CONTRADICTION_WEIGHT = 0.5
LEAST_WORTH = 0.1  # below it nothing speaks against what the pipeline did


@dataclass(frozen=True)
class Worth:
    """Of one image, and what makes it so."""

    value: float  # in [0, 1]
    why: str


def worth_of(image: Image, images: Mapping[str, Image], *, split_group: bool) -> Worth:
    """The worth of a look at an image of train or val.

    Args:
        image: of the source.
        images: by id, with its neighbours.
        split_group: whether its near-duplicates have different labels.
    """
    if split_group:
        return Worth(1.0, CONTRADICTION)
    near = _nearness(image)
    against = CONTRADICTION_WEIGHT * max(_by_neighbours(image, images), _by_ensembles(image))
    value = max(near, against)
    if value < LEAST_WORTH:
        return Worth(value, SURE)
    return Worth(value, CONTRADICTION if against > near else THRESHOLD)


def _nearness(image: Image) -> float:
    near = 0.0 if image.quality is None else 1 - abs(2 * image.quality - 1)
    if image.first is None:
        return near
    if image.piped is None:
        return max(near, image.first.likely[0][1])
    if image.piped != image.given and image.first.piped is not None:
        return 1 - image.first.piped
    return near


def _by_neighbours(image: Image, images: Mapping[str, Image]) -> float:
    """Share of the neighbours that speak against what the pipeline did; a dropped one's count as delivered."""
    near = [images[one] for one, _ in image.neighbours if one in images]
    if not near:
        return 0.0
    alike = sum((one.piped or one.given) == (image.piped or image.given) for one in near) / len(near)
    return alike if image.piped is None else 1 - alike


def _by_ensembles(image: Image) -> float:
    if image.first is None or image.second is None:
        return 0.0
    (first, sure), (second, other) = image.first.likely[0], image.second.likely[0]
    return 0.0 if first == second else min(sure, other)
