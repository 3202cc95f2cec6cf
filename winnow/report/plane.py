"""The t-SNE plane of the report as inline SVG: what is drawn where, and which card a marked point leads to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.pictures.embed import Picture
from winnow.pictures.plane import FRAME, HEIGHT, THUMBNAIL, WIDTH, class_colours, pictured_points, plane_positions
from winnow.report.chapters import Chapter
from winnow.report.page import Plane, PlaneMark, PlanePicture, card_id
from winnow.verdicts.states import States, as_numpy, places

PIXELS = 57  # of a small picture's longer side: one and a half times what it is drawn at


PICTURE_BYTES = 4096  # of a small picture, at most; the plane has room for 192


DOTS = 20_000  # drawn, at most: more would be a blot, and a page of many MB


MARKS = 2_000  # drawn that lead to no card, at most


LEGEND = 40  # classes that it names, at most


@dataclass(frozen=True)
class _Points:
    """The N images on the plane."""

    images: States
    corners: npt.NDArray[np.int64]  # (N, 2) left and top
    classes: npt.NDArray[np.int64]  # (N,) index of the class that the image had
    pictured: npt.NDArray[np.bool_]  # (N,) whether it is shown as a picture


def report_plane(
    round_name: str,
    embeddings: pa.Table,
    *,
    images: States,
    pictures: Callable[[Sequence[str]], Mapping[str, Picture]],
    classes: Sequence[str],
    chapters: Sequence[Chapter],
) -> Plane:
    """The plane of one round, of the images delivered: augmented copies would hide them.

    Of very many points some are drawn, as many of every class as its share is.

    Args:
        round_name: the round.
        embeddings: id, x, y; an image without a place, NaN or null, is not on the plane.
        images: every delivered image that was there when the round began: its label then, and after it.
        pictures: from the ids of the few images that are shown, their pictures by id.
        classes: class names.
        chapters: of the round; a marked point leads to the card that one of them shows.
    """
    axes = [as_numpy(pc.fill_null(embeddings[axis], np.nan)).astype(np.float64) for axis in ("x", "y")]
    place = places(embeddings["id"], images.ids)
    mine = np.flatnonzero((place >= 0) & np.isfinite(axes[0]) & np.isfinite(axes[1]))
    order = pa.array(place[mine])
    there = States(*(column.take(order) for column in (images.ids, images.given, images.label)))
    at = plane_positions(*(axis[mine] for axis in axes))  # (N, 2)
    pictured = np.zeros(len(mine), bool)
    pictured[pictured_points(at, there.touched.tolist())] = True
    indices = as_numpy(pc.index_in(there.given, value_set=pa.array(classes))).astype(np.int64)
    points = _Points(there, (at * [WIDTH, HEIGHT]).round().astype(int), indices, pictured)
    colours = dict(zip(classes, class_colours(len(classes)), strict=True))
    dots = _spread(np.flatnonzero(~pictured), indices, DOTS)
    small = pictures(there.ids.filter(pa.array(pictured)).to_pylist())
    marks, hidden_marks = _marks(points, colours, chapters)
    return Plane(
        round_name=round_name,
        width=WIDTH,
        height=HEIGHT,
        legend=_legend(indices, colours),
        classes=len(classes),
        dots=_dots(points, dots, list(colours.values())),
        pictures=_pictures(points, small, list(colours.values())),
        marks=marks,
        images=len(mine),
        dropped=int(there.dropped.sum()),
        relabelled=int(there.relabelled.sum()),
        hidden_dots=int((~pictured).sum()) - len(dots),
        hidden_marks=hidden_marks,
    )


def _spread(rows: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most so many of the rows, ascending, and of every class about its share."""
    if len(rows) <= most:
        return rows
    by_class = rows[np.argsort(classes[rows], kind="stable")]
    return np.sort(by_class[np.linspace(0, len(rows) - 1, most).round().astype(int)])


def _legend(classes: npt.NDArray[np.int64], colours: Mapping[str, str]) -> dict[str, str]:
    """The colours by class; of many classes, of those with the most points."""
    counts = np.bincount(classes, minlength=len(colours))
    most = set(np.argsort(-counts, kind="stable")[:LEGEND].tolist())
    return {label: colour for number, (label, colour) in enumerate(colours.items()) if number in most}


def _dots(points: _Points, rows: npt.NDArray[np.int64], colours: Sequence[str]) -> dict[str, str]:
    """By colour, one path through all points of a class: a line of no length each, which round ends make a dot."""
    paths: dict[str, list[str]] = {}
    for number, (left, top) in zip(points.classes[rows].tolist(), points.corners[rows].tolist(), strict=True):
        paths.setdefault(colours[number], []).append(f"M{left} {top}h0")
    return {colour: "".join(parts) for colour, parts in paths.items()}


def _pictures(points: _Points, small: Mapping[str, Picture], colours: Sequence[str]) -> list[PlanePicture]:
    """The images in a frame of their labels' colours, their longer sides a thumbnail's."""
    found = []
    for row in np.flatnonzero(points.pictured).tolist():
        picture = small[points.images.ids[row].as_py()]
        sides = (picture.width, picture.height)
        width, height = (max(1, round(side * THUMBNAIL / max(sides))) for side in sides)
        left, top = points.corners[row].tolist()
        found.append(
            PlanePicture(
                left=left - width // 2,
                top=top - height // 2,
                width=width,
                height=height,
                frame=FRAME,
                colour=colours[points.classes[row]],
                uri=picture.uri,
            )
        )
    return found


def _marks(points: _Points, colours: Mapping[str, str], chapters: Sequence[Chapter]) -> tuple[list[PlaneMark], int]:
    """Marks on images that were dropped or relabelled, and how many are not drawn.

    On a picture a mark stands at the corner and hides nothing.
    """
    cards = {
        verdict.id: (card_id(verdict.id, chapter), verdict)
        for chapter in chapters
        for group in chapter.groups
        for verdict in group.shown
    }
    touched = np.flatnonzero(points.images.touched)
    has_card = as_numpy(pc.is_in(points.images.ids.take(pa.array(touched)), pa.array(list(cards), pa.string())))
    others = touched[~has_card.astype(bool)]
    drawn = np.sort(np.concatenate([touched[has_card.astype(bool)], _spread(others, points.classes, MARKS)]))
    marks = []
    for row in drawn.tolist():
        identifier, given, label = (
            column[row].as_py() for column in (points.images.ids, points.images.given, points.images.label)
        )
        aside = THUMBNAIL // 2 if points.pictured[row] else 0
        left, top = points.corners[row].tolist()
        card, verdict = cards.get(identifier, (None, None))
        marks.append(
            PlaneMark(
                left=left + aside,
                top=top - aside,
                label_before=given,
                label_after=label,
                colour=None if label is None else colours[label],
                card=card,
                reason=verdict.reason if verdict else "",
            )
        )
    return marks, len(touched) - len(drawn)
