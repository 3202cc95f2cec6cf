"""Groups of several classes, such as all pictures of one person, dealt whole into a split that is drawn.

A greedy stratified group split. Groups come in an order by hash, and are taken as long as they fit; then those that
bring the split closest to the images that it wants of every class. scikit-learn's StratifiedGroupKFold spreads classes
about as well over k equal folds, but there one more image may move every group, and a share must be 1 / k.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def mixed_groups(
    together: Mapping[Name, Sequence[int]], labels: Sequence[str], hashes: Sequence[str], listed: Sequence[str]
) -> list[Name]:
    """Groups whose labels differ because groups.csv lists their images together.

    Equal images under two labels contradict each other: a group that holds some stays where it can be cleansed, and so
    does one that looks have joined.

    Args:
        together: the images of each group.
        labels: (N,) class names.
        hashes: (N,) equal for equal pixels.
        listed: (N,) group in groups.csv, empty for none; may be empty itself.
    """
    return [
        name
        for name, images in together.items()
        if listed
        and len({labels[image] for image in images}) > 1
        and all(listed[image] for image in images)
        and len({(labels[image], hashes[image]) for image in images}) == len({hashes[image] for image in images})
    ]


def choose_groups(
    groups: Mapping[Name, Counter[str]], wanted: Mapping[str, int], spare: Mapping[str, int], *, least: int
) -> list[Name]:
    """The groups that a split takes.

    Args:
        groups: that may be taken, in the order in which they are looked at: images by class.
        wanted: images by class that the split lacks.
        spare: images by class that the split from which they are drawn can give.
        least: groups that are taken even if the split then has more than it wants, as far as there are any.
    """
    left, room, others, chosen = Counter(wanted), Counter(spare), dict(groups), list[Name]()

    def take(name: Name) -> None:
        chosen.append(name)
        left.subtract(groups[name])
        room.subtract(groups[name])
        del others[name]

    for name, group in groups.items():
        if _fits(group, left) and _fits(group, room):
            take(name)
    while candidates := [name for name, group in others.items() if _fits(group, room)]:
        best = min(candidates, key=lambda name: _miss(left, groups[name]))
        if len(chosen) >= least and _miss(left, groups[best]) >= _miss(left, Counter()):
            break
        take(best)
    return chosen


def _fits(group: Counter[str], room: Counter[str]) -> bool:
    return all(count <= room[label] for label, count in group.items())


def _miss(left: Counter[str], group: Counter[str]) -> int:
    """Sum over the classes of the square of the images too many or too few, once the group is taken."""
    return sum((left[label] - group[label]) ** 2 for label in {*left, *group})
