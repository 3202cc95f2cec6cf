"""Splits: those that a source lacks are drawn from the others, and no image is in two of them.

A draw is stratified by class and ordered by a keyed hash of each image's pixels, so that an image's split depends on
the seed and on itself: adding one image moves only images at the cut, in its own class. Duplicates are drawn together;
where their labels differ, all of them stay in train.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from winnow.dataset.samples import LEAST

PRECEDENCE = ("train", "val", "label_book", "test")  # of two splits that share an image, the later one keeps it


@dataclass(frozen=True)
class SplitPlan:
    """How missing splits are drawn."""

    seed: int
    val_fraction: float  # of the training images, per class
    test_fraction: float  # of all images, per class, before validation is drawn
    label_book_per_class: int  # at most half of a class's validation images


def find_leaks(splits: Sequence[str], hashes: Sequence[str]) -> list[str | None]:
    """For each image the highest other split that holds the same pixels and keeps them, or None.

    Args:
        splits: (N,) of PRECEDENCE.
        hashes: (N,) equal for equal pixels.
    """
    highest: dict[str, int] = {}
    ranks = [PRECEDENCE.index(split) for split in splits]
    for rank, pixels in zip(ranks, hashes, strict=True):
        highest[pixels] = max(rank, highest.get(pixels, 0))
    return [
        PRECEDENCE[highest[pixels]] if highest[pixels] > rank else None
        for rank, pixels in zip(ranks, hashes, strict=True)
    ]


def draw_missing(splits: Sequence[str], labels: Sequence[str], hashes: Sequence[str], plan: SplitPlan) -> list[str]:
    """The split of each image once test, val and label_book exist.

    Test and val come from train and leave it ``LEAST["train"]`` images a class; the label book comes from val. A split
    that has any image is left as it is. Every class gives at least one image to a split that is drawn from it, and two
    to val when the label book is drawn from there, as far as it has them to spare.

    Args:
        splits: (N,) as delivered, without leaks.
        labels: (N,) class names.
        hashes: (N,) equal for equal pixels.
        plan: fractions, counts and seed.
    """
    drawn, missing = list(splits), set(PRECEDENCE) - set(splits)
    least = 2 if "label_book" in missing else 1

    def share(fraction: float, least: int) -> Callable[[int], int]:
        return lambda n: max(0, min(n - LEAST["train"], max(least, math.floor(fraction * n + 0.5))))

    steps = {
        "test": ("train", share(plan.test_fraction, 1)),
        "val": ("train", share(plan.val_fraction, least)),
        "label_book": ("val", lambda n: min(plan.label_book_per_class, n // 2)),
    }
    duplicates: dict[str, list[int]] = {}
    for index, pixels in enumerate(hashes):
        duplicates.setdefault(pixels, []).append(index)
    for split, (origin, take) in steps.items():
        if split in missing:
            key = f"{split}:{plan.seed}".encode()
            for members in _by_class(drawn, labels, origin):
                wanted, inside = take(len(members)), set(members)
                left = wanted
                groups = [duplicates[pixels] for pixels in {hashes[index] for index in members}]
                movable = [group for group in groups if inside.issuperset(group)]  # of one label
                movable.sort(key=lambda group: hashlib.blake2b(hashes[group[0]].encode(), key=key).digest())
                for group in movable:
                    # Where every group is larger than the share, one is moved all the same, if train can spare it.
                    spare = origin == "train" and left == wanted > 0 and len(members) - len(group) >= LEAST["train"]
                    if len(group) <= left or spare:
                        left = max(0, left - len(group))
                        for index in group:
                            drawn[index] = split
    return drawn


def _by_class(splits: Sequence[str], labels: Sequence[str], split: str) -> list[list[int]]:
    """Indices of one split's images, a list a class."""
    classes: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        if splits[index] == split:
            classes.setdefault(label, []).append(index)
    return list(classes.values())


def count_duplicates(labels: Sequence[str], hashes: Sequence[str]) -> tuple[int, int]:
    """Images whose pixels occur more than once: those with one label for all duplicates, those whose labels differ.

    Args:
        labels: (N,) class names.
        hashes: (N,) equal for equal pixels.
    """
    counts = Counter(hashes)
    given: dict[str, set[str]] = {}
    for label, pixels in zip(labels, hashes, strict=True):
        given.setdefault(pixels, set()).add(label)
    agreeing = sum(n for pixels, n in counts.items() if n > 1 and len(given[pixels]) == 1)
    return agreeing, sum(n for pixels, n in counts.items() if len(given[pixels]) > 1)
