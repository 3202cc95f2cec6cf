"""The order of the queue against its definition."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from winnow.review.estimate import draw_sample
from winnow.review.queue import EVERY, build_queues, refine_queue
from winnow.review.records import Image, Records
from winnow.review.signals import Guess, guesses
from winnow.review.worth import CONTRADICTION, DUPLICATES, SAMPLE, SURE, THRESHOLD, worth_of

CLASSES = ["i", "ii", "iii"]


def image(number: int, **changes: Any) -> Image:
    plain = Image(
        id=f"{number:016x}",
        name=f"train/i/{number}.png",
        split="train",
        given="i",
        group=None,
        folder="data/prepared",
        piped="i",
        pixel_hash=f"{number:032x}",
        quality=0.99,
    )
    probabilities = {"first": (0.98, 0.01, 0.01), "second": (0.98, 0.01, 0.01), **changes}
    made = replace(plain, **{name: value for name, value in changes.items() if name not in ("first", "second")})
    first, second = (guess(made, probabilities[name]) for name in ("first", "second"))
    return replace(made, first=first, second=second)


def guess(one: Image, probabilities: Sequence[float] | None) -> Guess | None:
    return next(guesses(np.array([probabilities]), [(one.given, one.piped)], CLASSES)) if probabilities else None


def records(images: list[Image]) -> Records:
    return Records(CLASSES, {one.id: one for one in images})


def worth(one: Image, *others: Image, split_group: bool = False) -> tuple[Any, str]:
    found = worth_of(one, records([one, *others]).images, split_group=split_group)
    return found.value, found.why


@pytest.mark.parametrize(("quality", "value"), [(0.5, 1.0), (0.4, 0.8), (0.6, 0.8), (0.2, 0.4)])
def test_the_nearer_to_the_threshold_from_either_side_the_more_it_is_worth(quality: float, value: float) -> None:
    assert worth(image(0, quality=quality)) == (pytest.approx(value), THRESHOLD)


def test_a_sure_label_comes_last() -> None:
    assert worth(image(0, quality=1.0)) == (0.0, SURE)


def test_a_dropped_image_that_surely_shows_a_class_is_worth_a_look() -> None:
    dropped = image(0, piped=None, quality=0.0, first=(0.05, 0.9, 0.05))
    assert worth(dropped) == (pytest.approx(0.9), THRESHOLD)


def test_a_new_label_is_worth_what_is_missing_to_its_certainty() -> None:
    relabelled = image(0, piped="ii", quality=0.0, first=(0.3, 0.6, 0.1))
    assert worth(relabelled) == (pytest.approx(0.4), THRESHOLD)


def test_neighbours_of_another_label_are_a_contradiction_by_half_their_share() -> None:
    others = [
        image(1),
        image(2, given="ii", piped="ii"),
        image(3, given="ii", piped="ii"),
        image(4, given="ii", piped=None),
    ]
    one = image(0, quality=1.0, neighbours=tuple((other.id, 0.9) for other in others))
    assert worth(one, *others) == (pytest.approx(0.5 * 0.75), CONTRADICTION)


def test_neighbours_of_its_label_are_one_of_a_dropped_image() -> None:
    others = [image(1), image(2), image(3, given="ii", piped="ii")]
    one = image(0, piped=None, quality=0.0, first=None, neighbours=tuple((other.id, 0.9) for other in others))
    assert worth(one, *others) == (pytest.approx(0.5 * 2 / 3), CONTRADICTION)


def test_ensembles_that_name_different_classes_are_a_contradiction() -> None:
    one = image(0, quality=1.0, first=(0.8, 0.2, 0.0), second=(0.3, 0.6, 0.1))
    assert worth(one) == (pytest.approx(0.5 * 0.6), CONTRADICTION)


def test_near_duplicates_of_different_labels_come_before_all() -> None:
    assert worth(image(0, quality=1.0), split_group=True) == (1.0, CONTRADICTION)


def drawn(count: int, seed: int) -> list[Image]:
    """Images of random signals; every third stands in a group of up to three."""
    rng = np.random.default_rng(seed)
    return [
        image(
            number,
            quality=float(rng.random()),
            first=tuple(rng.dirichlet([1.0] * 3).tolist()),
            piped=[None, "i", "ii"][int(rng.integers(3))],
            group=f"g{number // 9}" if number % 3 == 0 else None,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_is_the_one_defined(seed: int) -> None:
    """Slowly: the unit of most worth at each place, but every fifth is the next of the sample."""
    images = drawn(240, seed)
    by_id = {one.id: one for one in images}
    queue = refine_queue(images, records(images))
    labels: dict[str, set[str | None]] = {}
    for one in images:
        if one.group:
            labels.setdefault(one.group, set()).add(one.piped)
    split = {group for group, found in labels.items() if len(found - {None}) > 1}
    value = {one.id: worth_of(one, by_id, split_group=one.group in split).value for one in images}
    sample = draw_sample(one.id for one in images if one.piped is not None)
    unit = {one.id: [x.id for x in images if x is one or (one.group and x.group == one.group)] for one in images}
    sampled = [one for one in sample if not any(x in unit[one] for x in sample[: sample.index(one)])]
    left = {x for one in images for x in [one.id] if not set(unit[x]) & set(sample)}
    expected: list[str] = []
    number = 0
    while left or sampled:
        if sampled and (number % EVERY == EVERY - 1 or not left):
            first = sampled.pop(0)
            members = sorted(unit[first], key=lambda x: (sample.index(x) if x in sample else 999, -value[x], x))
        else:
            best = min(
                left,
                key=lambda x: (
                    -max(value[y] for y in unit[x]),
                    min(y for y in unit[x] if value[y] == max(value[z] for z in unit[x])),
                ),
            )
            members = sorted(unit[best], key=lambda x: (-value[x], x))
            left -= set(members)
        expected += members
        number += 1
    assert [place.id for place in queue.places] == expected
    assert list(queue.sample) == sample


def test_every_image_has_one_place_and_groups_stand_together() -> None:
    images = drawn(300, 7)
    places = refine_queue(images, records(images)).places
    assert sorted(place.id for place in places) == sorted(one.id for one in images)
    position = {place.id: number for number, place in enumerate(places)}
    groups: dict[str, list[int]] = {}
    for one in images:
        if one.group:
            groups.setdefault(one.group, []).append(position[one.id])
    assert all(max(found) - min(found) == len(found) - 1 for found in groups.values())


def test_reasons_say_what_brought_an_image_forward() -> None:
    pair = [image(1, group="g"), image(2, group="g")]
    torn = [image(3, group="h", quality=1.0), image(4, group="h", piped="ii", quality=1.0)]
    others = [image(number) for number in range(10, 400)]
    queue = refine_queue([*pair, *torn, *others], records([*pair, *torn, *others]))
    why = {place.id: place.why for place in queue.places}
    assert {why[one.id] for one in pair if one.id not in queue.sample} <= {DUPLICATES}
    assert {why[one.id] for one in torn if one.id not in queue.sample} <= {CONTRADICTION}
    assert {why[one] for one in queue.sample} == {SAMPLE}


def test_the_sample_holds_kept_images_alone_and_decisions_do_not_move_it() -> None:
    images = drawn(240, 1)
    queue = refine_queue(images, records(images))
    kept = {one.id for one in images if one.piped is not None}
    assert set(queue.sample) <= kept
    assert refine_queue(images[::-1], records(images[::-1])).places == queue.places


def test_images_decided_before_the_run_are_not_sampled() -> None:
    images = drawn(240, 1)
    before = refine_queue(images, records(images)).sample
    decided = set(before[:5])
    known = Records(CLASSES, {one.id: one for one in images}, decided=decided)
    queue = refine_queue(images, known)
    assert not decided & set(queue.sample)
    assert set(before[5:]) <= set(queue.sample)
    assert sorted(place.id for place in queue.places) == sorted(one.id for one in images)


def test_there_is_no_sample_of_labels_that_overrides_changed() -> None:
    images = drawn(240, 1)
    queue = refine_queue(images, Records(CLASSES, {one.id: one for one in images}, is_accepted=False))
    assert list(queue.sample) == []
    assert len(queue.places) == len(images)


def test_the_label_book_starts_with_what_the_ensemble_doubts() -> None:
    book = [
        image(1, split="label_book", first=(0.9, 0.1, 0.0)),
        image(2, split="label_book", first=(0.2, 0.8, 0.0)),
        image(3, split="label_book", first=None),
    ]
    queue = build_queues(records(book))["label_book"]
    assert [place.id for place in queue.places] == [book[1].id, book[0].id, book[2].id]
    assert sorted(queue.sample) == sorted(one.id for one in book)


def test_at_most_200_test_images_are_asked_about_and_in_no_order_of_theirs() -> None:
    tested = [image(number, split="test", folder="data/test", first=None, quality=None) for number in range(900)]
    queues = build_queues(records(tested))
    assert list(queues) == ["test"]
    ids = [place.id for place in queues["test"].places]
    assert len(ids) == 200
    assert ids == list(queues["test"].sample)
    assert ids != sorted(ids)
