"""Splits: those that a source lacks are drawn from the others, and no group of images is in two of them.

A group is what belongs together: equal images, near-duplicates, what groups.csv joins. A draw is stratified by class
and ordered by a keyed hash of each image's pixels, so that an image's split depends on the seed and on itself: adding
one image moves only images at the cut, in its own class. A group is drawn whole. Where its labels differ, all of it
stays in train, unless groups.csv says that it belongs together: such groups are dealt whole once those of one label do
not suffice (``mixed_groups``).
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

from winnow.dataset.samples import LEAST
from winnow.intake.mixed_groups import choose_groups, mixed_groups

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
    listed: Sequence[str] = (),
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
        listed: (N,) group in groups.csv, empty for none; or nothing, where there is no such file.
    """
    drawn, missing = list(splits), set(PRECEDENCE) - set(splits)
    together: dict[Hashable, list[int]] = {}
    for index, name in enumerate(groups):
        together.setdefault(name, []).append(index)
    # The least hash stands for a group, so that the order of the images does not matter.
    first = {name: min(hashes[index] for index in indices).encode() for name, indices in together.items()}
    mixed = mixed_groups(together, labels, hashes, listed)
    least = {"test": 1, "val": 2 if "label_book" in missing else 1, "label_book": 1}  # images, and groups
    for split, (origin, share) in _steps(plan, least).items():
        if split not in missing:
            continue
        key = f"{split}:{plan.seed}".encode()
        order = {name: hashlib.blake2b(least, key=key).digest() for name, least in first.items()}
        lacking = Counter[str]()
        for members in _by_class(drawn, labels, origin):
            names = sorted(dict.fromkeys(groups[index] for index in members), key=order.__getitem__)
            wanted = share(len(members))
            room = len(members) - LEAST[origin]
            moved = _whole_groups(names, set(members), together, wanted=wanted, room=room, least=least[split])
            for index in moved:
                drawn[index] = split
            lacking[labels[members[0]]] = max(0, wanted - len(moved))
        left = Counter(label for label, where in zip(labels, drawn, strict=True) if where == origin)
        inside = sorted((name for name in mixed if drawn[together[name][0]] == origin), key=order.__getitem__)
        chosen = choose_groups(
            {name: Counter(labels[index] for index in together[name]) for name in inside},
            lacking,
            {label: count - LEAST[origin] for label, count in left.items()},
            least=least[split] - len({name for name, where in zip(groups, drawn, strict=True) if where == split}),
        )
        for name in chosen:
            for index in together[name]:
                drawn[index] = split
    return drawn


def _steps(plan: SplitPlan, least: Mapping[str, int]) -> dict[str, tuple[str, Callable[[int], int]]]:
    """By split, in the order of the draws: where it is drawn from, and how many of a class's images."""

    def share(fraction: float, least: int) -> Callable[[int], int]:
        return lambda n: max(0, min(n - LEAST["train"], max(least, math.floor(fraction * n + 0.5))))

    return {
        "test": ("train", share(plan.test_fraction, least["test"])),
        "val": ("train", share(plan.val_fraction, least["val"])),
        "label_book": ("val", lambda n: min(plan.label_book_per_class, n // 2)),
    }


def _whole_groups(
    names: Sequence[Hashable],
    members: Collection[int],
    together: Mapping[Hashable, Sequence[int]],
    *,
    wanted: int,
    room: int,
    least: int,
) -> list[int]:
    """The images of a class that are moved, in whole groups of that class alone.

    Args:
        names: groups that have images of the class, in the order in which they are looked at.
        members: the class's images.
        together: the images of each group.
        wanted: images.
        room: images that can be moved.
        least: groups that are moved, even if they are larger than what is wanted, as far as there is room.
    """
    whole = [together[name] for name in names if all(index in members for index in together[name])]
    moved: list[int] = []
    larger: list[Sequence[int]] = []
    for group in whole:
        if len(group) <= wanted - len(moved):
            moved += group
        else:
            larger.append(group)
    lacking = least - (len(whole) - len(larger)) if wanted > 0 else 0
    for group in sorted(larger, key=len):  # of equally large ones the first
        if lacking > 0 and len(group) <= room - len(moved):
            moved += group
            lacking -= 1
    return moved


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
