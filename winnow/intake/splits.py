"""Splits: those that a source lacks are drawn from the others, and no group of images is in two of them.

A group is what belongs together: equal images, near-duplicates, what groups.csv joins. A draw is stratified by class
and ordered by a keyed hash of each image's pixels, so that an image's split depends on the seed and on itself: adding
one image moves only images at the cut, in its own class. A group is drawn whole; where its labels differ, all of it
stays in train.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from winnow.dataset.samples import LEAST

PRECEDENCE = ("train", "val", "label_book", "test")  # of two splits that share a group, the later one keeps it


@dataclass(frozen=True)
class SplitPlan:
    """How missing splits are drawn."""

    seed: int
    val_fraction: float  # of the training images, per class
    test_fraction: float  # of all images, per class, before validation is drawn
    label_book_per_class: int  # at most half of a class's validation images


def find_leaks(splits: Sequence[str], groups: Sequence[Hashable]) -> list[str | None]:
    """For each image the highest other split that holds an image of its group and keeps it, or None.

    Args:
        splits: (N,) of PRECEDENCE.
        groups: (N,) equal for images that belong together.
    """
    highest: dict[Hashable, int] = {}
    ranks = [PRECEDENCE.index(split) for split in splits]
    for rank, group in zip(ranks, groups, strict=True):
        highest[group] = max(rank, highest.get(group, 0))
    return [
        PRECEDENCE[highest[group]] if highest[group] > rank else None for rank, group in zip(ranks, groups, strict=True)
    ]


def draw_missing(
    splits: Sequence[str],
    labels: Sequence[str],
    hashes: Sequence[str],
    groups: Sequence[Hashable],
    plan: SplitPlan,
) -> list[str]:
    """The split of each image once test, val and label_book exist.

    Test and val come from train and leave it ``LEAST["train"]`` images a class; the label book comes from val. A split
    that has any image is left as it is. Every class gives at least one group to a split that is drawn from it, and two
    to val when the label book is drawn from there, as far as it has them to spare, even if that is more than the share.

    Args:
        splits: (N,) as delivered, without leaks.
        labels: (N,) class names.
        hashes: (N,) equal for equal pixels; they order the draw.
        groups: (N,) equal for images that belong together, equal images among them.
        plan: fractions, counts and seed.
    """
    drawn, missing = list(splits), set(PRECEDENCE) - set(splits)
    least = {"test": 1, "val": 2 if "label_book" in missing else 1, "label_book": 1}  # images, and groups
    stays = {"train": LEAST["train"], "val": 1}  # images of a class

    def share(fraction: float, least: int) -> Callable[[int], int]:
        return lambda n: max(0, min(n - LEAST["train"], max(least, math.floor(fraction * n + 0.5))))

    steps = {
        "test": ("train", share(plan.test_fraction, least["test"])),
        "val": ("train", share(plan.val_fraction, least["val"])),
        "label_book": ("val", lambda n: min(plan.label_book_per_class, n // 2)),
    }
    together: dict[Hashable, list[int]] = {}
    for index, name in enumerate(groups):
        together.setdefault(name, []).append(index)
    # The least hash stands for a group, so that the order of the images does not matter.
    order = {name: min(hashes[index] for index in indices).encode() for name, indices in together.items()}
    for split, (origin, take) in steps.items():
        if split in missing:
            key = f"{split}:{plan.seed}".encode()
            for members in _by_class(drawn, labels, origin):
                left, inside, moved = take(len(members)), set(members), 0
                room, due = len(members) - stays[origin], least[split] if left > 0 else 0
                names = dict.fromkeys(groups[index] for index in members)
                movable = [name for name in names if inside.issuperset(together[name])]  # of one label
                movable.sort(key=lambda name: hashlib.blake2b(order[name], key=key).digest())
                for name in movable:
                    group = together[name]
                    # Where groups are larger than the share, some are moved all the same, if the origin can spare them.
                    if len(group) <= left or (moved < due and len(group) <= room):
                        left, room, moved = max(0, left - len(group)), room - len(group), moved + 1
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


def count_duplicates(labels: Sequence[str], groups: Sequence[Hashable]) -> tuple[int, int]:
    """Images whose group has more than one: those of groups with one label, those of groups whose labels differ.

    Args:
        labels: (N,) class names.
        groups: (N,) equal for images that belong together; pixel hashes count exact duplicates alone.
    """
    counts = Counter(groups)
    given: dict[Hashable, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        given.setdefault(group, set()).add(label)
    agreeing = sum(n for group, n in counts.items() if n > 1 and len(given[group]) == 1)
    return agreeing, sum(n for group, n in counts.items() if len(given[group]) > 1)
