"""The plane of the report: every image is a dot or a picture, in its label's colour, and the marks lie on them."""

import re

import numpy as np
import pyarrow as pa
import pytest

import winnow.report.plane as plane_module
from winnow.dataset.images import encode_png
from winnow.pictures.embed import embed
from winnow.pictures.plane import FRAME, THUMBNAIL, class_colours, plane_positions, plane_view
from winnow.report.chapters import Chapter, Group
from winnow.report.page import Plane, card_id
from winnow.report.plane import PICTURE_BYTES, PIXELS, report_plane
from winnow.verdicts.ledger import VerdictRow
from winnow.verdicts.states import States

CLASSES = ["a", "b", "c"]
COLOURS = dict(zip(CLASSES, class_colours(3), strict=True))
# Two points in each of two cells, of which one is shown as a picture and the other as a dot.
X, Y = np.array([0.0, 1.0, 0.0, 1.0, 100.0]), np.array([0.0, 0.0, 75.0, 75.0, 0.0])
GIVEN, NOW = ["a", "b", "b", "a", "c"], ["a", None, "b", "c", "c"]
PLACES = (plane_positions(X, Y) * [1200, 900]).round().astype(int).tolist()


def states_of(ids: list[str], given: list[str], now: list[str | None]) -> States:
    return States(*(pa.array(column, pa.string()) for column in (ids, given, now)))


def drawn(*chapters: Chapter) -> Plane:
    ids = [f"{number}" for number in range(5)]
    embeddings = pa.table({"id": [*ids, "copy"], "x": [*X, 5.0], "y": [*Y, 5.0]})
    picture = embed(encode_png(np.full((4, 8, 1), 128, np.uint8)))
    pictures = lambda shown: dict.fromkeys(shown, picture)  # noqa: E731
    images = states_of(ids, GIVEN, NOW)
    return report_plane("r1", embeddings, images=images, pictures=pictures, classes=CLASSES, chapters=chapters)


def test_every_delivered_image_is_a_dot_or_a_picture_in_its_labels_colour() -> None:
    plane = drawn()
    assert (plane.images, plane.dropped, plane.relabelled) == (5, 1, 1)
    dots = {
        (int(left), int(top)): colour
        for colour, path in plane.dots.items()
        for left, top in re.findall(r"M(\d+) (\d+)h0", path)
    }
    pictures = {(one.left + one.width // 2, one.top + one.height // 2): one for one in plane.pictures}
    assert len(dots) + len(pictures) == 5
    for place, given in zip(PLACES, GIVEN, strict=True):
        at = (place[0], place[1])
        assert (dots[at] if at in dots else pictures[at].colour) == COLOURS[given]
    for one in plane.pictures:
        assert (one.width, one.height, one.frame) == (THUMBNAIL, THUMBNAIL // 2, FRAME)
        assert one.uri.startswith("data:image/png;base64,")


def test_marks_lie_on_what_was_dropped_or_relabelled_and_beside_the_picture() -> None:
    dropped, relabelled = sorted(drawn().marks, key=lambda mark: mark.label_before, reverse=True)
    assert (dropped.label_before, dropped.label_after, dropped.colour, dropped.card) == ("b", None, None, None)
    assert (relabelled.label_before, relabelled.label_after, relabelled.colour) == ("a", "c", COLOURS["c"])
    for mark, (left, top) in ((dropped, PLACES[1]), (relabelled, PLACES[3])):
        assert (mark.left, mark.top) == (left + THUMBNAIL // 2, top - THUMBNAIL // 2)


def test_a_mark_leads_to_the_card_of_the_image() -> None:
    row = VerdictRow("1", "r1", "cleanse_final", "drop", "b", None, "far away", 0.1, (), "winnow")
    chapter = Chapter("r1", "cleanse_final", {}, [Group("drop", 1, [row])])
    cards = {mark.label_before: (mark.card, mark.reason) for mark in drawn(chapter).marks}
    assert cards == {"a": (None, ""), "b": (card_id("1", chapter), "far away")}


def test_two_thousand_images_take_no_more_room_than_as_a_png() -> None:
    generator = np.random.default_rng(0)
    ids = [f"{number:016x}" for number in range(2000)]
    (x, y), small = generator.normal(0, 30, (2, 2000)), generator.integers(0, 256, (2000, 8, 8, 3), dtype=np.uint8)
    pixels = small.repeat(4, axis=1).repeat(4, axis=2)  # (N, 32, 32, 3)
    labels = [CLASSES[number % 3] for number in range(2000)]
    now = [None if number % 20 == 0 else label for number, label in enumerate(labels)]
    pngs = {one: encode_png(image) for one, image in zip(ids, pixels, strict=True)}
    pictures = lambda shown: {one: embed(pngs[one], PIXELS, limit=PICTURE_BYTES) for one in shown}  # noqa: E731
    plane = report_plane(
        "r1",
        pa.table({"id": ids, "x": x, "y": y}),
        images=states_of(ids, labels, now),
        pictures=pictures,
        classes=CLASSES,
        chapters=[],
    )
    picture = plane_view(x, y, labels, CLASSES, now, lambda shown: list(pixels[shown]))
    svg = sum(len(path) for path in plane.dots.values()) + sum(len(one.uri) + 140 for one in plane.pictures)
    assert svg + 60 * len(plane.marks) <= len(picture) * 4 / 3


def test_of_many_points_and_marks_some_of_every_class_are_drawn_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plane_module, "DOTS", 60)
    monkeypatch.setattr(plane_module, "MARKS", 10)
    monkeypatch.setattr(plane_module, "LEGEND", 2)
    x, y = np.random.default_rng(0).uniform(0, 1, (2, 1000))
    ids = [f"{number:04}" for number in range(1000)]
    labels = ["a" if number % 10 else "b" for number in range(1000)]
    now = [None if number % 4 == 0 else label for number, label in enumerate(labels)]
    picture = embed(encode_png(np.full((4, 8, 1), 128, np.uint8)))
    row = VerdictRow(ids[4], "r1", "cleanse_final", "drop", "a", None, "far away", 0.1, (), "winnow")
    plane = report_plane(
        "r1",
        pa.table({"id": [*ids, "off the plane"], "x": [*x, np.nan], "y": [*y, np.nan]}),
        images=states_of([*ids, "off the plane"], [*labels, "a"], [*now, "a"]),
        pictures=lambda shown: dict.fromkeys(shown, picture),
        classes=CLASSES,
        chapters=[Chapter("r1", "cleanse_final", {}, [Group("drop", 1, [row])])],
    )
    dots = {colour: path.count("h0") for colour, path in plane.dots.items()}
    assert (plane.images, plane.dropped) == (1000, 250)
    assert sum(dots.values()) == 60 == 1000 - len(plane.pictures) - plane.hidden_dots
    assert 3 <= dots[COLOURS["b"]] <= 9
    assert sum(mark.card is None for mark in plane.marks) == 10 == 250 - 1 - plane.hidden_marks
    assert [mark.reason for mark in plane.marks if mark.card] == ["far away"]
    assert (list(plane.legend), plane.classes) == (["a", "b"], 3)
