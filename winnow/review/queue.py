"""The order in which people are asked about images.

Train and val: the worth of a look decides (``worth``), the highest first; near-duplicates stand together, where the
best of them stands. Every fifth place has an image of the random sample instead, with its near-duplicates, until the
sample is used up. Label book: the label that the ensemble doubts most first. Test: a random sample.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from winnow.review.estimate import draw_sample
from winnow.review.records import LABEL_BOOK, REFINE, TEST_SET, Image, Records
from winnow.review.worth import CONTRADICTION, DUPLICATES, SAMPLE, Worth, worth_of

EVERY = 5  # of so many places one has an image of the random sample
MOST_TEST = 200  # test images that are asked about


@dataclass(frozen=True)
class Place:
    """One place of the queue."""

    id: str
    why: str


@dataclass(frozen=True)
class Queue:
    """The images of a task, in order, and those from which the share of faults is estimated."""

    places: Sequence[Place]
    sample: Sequence[str]  # ids


def build_queues(records: Records) -> dict[str, Queue]:
    """The queue of each task that has images."""
    tasks = {
        REFINE: refine_queue([one for one in records.images.values() if one.task == REFINE], records),
        LABEL_BOOK: _book_queue(records),
        TEST_SET: _test_queue(records),
    }
    return {name: queue for name, queue in tasks.items() if queue.places}


def refine_queue(images: Sequence[Image], records: Records) -> Queue:
    """The queue of the images of train and val.

    Args:
        images: of train and val.
        records: with their neighbours and the classes.
    """
    split = _split_groups(images)
    worths = {one.id: worth_of(one, records.images, split_group=one.group in split) for one in images}
    # Images that people corrected before the run say nothing of the others, and labels with overrides nothing of it.
    kept = [one.id for one in images if one.piped is not None and one.id not in records.decided]
    sample = draw_sample(kept if records.is_accepted else [])
    units = _units(images, worths, sample)
    chosen = [unit for unit in units.values() if unit[0].why == SAMPLE]
    place_of = {identifier: place for place, identifier in enumerate(sample)}
    chosen.sort(key=lambda unit: place_of[unit[0].id])
    others = [unit for unit in units.values() if unit[0].why != SAMPLE]
    others.sort(key=lambda unit: (-worths[unit[0].id].value, unit[0].id))
    return Queue([place for unit in _interleaved(others, chosen) for place in unit], sample)


def _split_groups(images: Iterable[Image]) -> set[str]:
    """Groups whose images have more than one label by the pipeline; those that it dropped have none."""
    labels: dict[str, set[str]] = {}
    for one in images:
        if one.group is not None and one.piped is not None:
            labels.setdefault(one.group, set()).add(one.piped)
    return {group for group, found in labels.items() if len(found) > 1}


def _units(images: Iterable[Image], worths: Mapping[str, Worth], sample: Iterable[str]) -> dict[str, list[Place]]:
    """What stands together, by group or id: of the sample its first image in front, else the one of most worth."""
    members: dict[str, list[Image]] = {}
    for one in images:
        members.setdefault(one.group or one.id, []).append(one)
    rank = {identifier: number for number, identifier in enumerate(sample)}
    last = len(rank)
    units = {}
    for key, found in members.items():
        found.sort(key=lambda one: (rank.get(one.id, last), -worths[one.id].value, one.id))
        units[key] = [Place(one.id, _why(one, worths[one.id], sampled=one.id in rank)) for one in found]
    return units


def _why(image: Image, worth: Worth, *, sampled: bool) -> str:
    if sampled:
        return SAMPLE
    return worth.why if image.group is None or worth.why == CONTRADICTION else DUPLICATES


def _interleaved(others: Sequence[list[Place]], chosen: Sequence[list[Place]]) -> list[list[Place]]:
    """Every fifth one of the sample while there are any, then what is left of either."""
    queue: list[list[Place]] = []
    rest: Iterator[list[Place]] = iter(others)
    sample = iter(chosen)
    for number in range(len(others) + len(chosen)):
        first, second = (sample, rest) if number % EVERY == EVERY - 1 else (rest, sample)
        unit = next(first, None)
        queue.append(next(second) if unit is None else unit)
    return queue


def _book_queue(records: Records) -> Queue:
    """The label book, the most doubtful first; all of it is the sample."""
    images = [one for one in records.images.values() if one.task == LABEL_BOOK]

    def certainty(image: Image) -> float:
        return 1.0 if image.first is None else image.first.given

    images.sort(key=lambda one: (certainty(one), one.id))
    return Queue([Place(one.id, "label book") for one in images], [one.id for one in images])


def _test_queue(records: Records) -> Queue:
    """A random sample of the test set, in random order: no figure of it may lead anybody to single images."""
    ids = draw_sample((one.id for one in records.images.values() if one.task == TEST_SET), most=MOST_TEST)
    return Queue([Place(one, "test") for one in ids], ids)
