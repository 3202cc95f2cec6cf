"""The t-SNE plane of the report as inline SVG: what is drawn where, and which card a marked point leads to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from winnow.pictures.embed import Picture
from winnow.pictures.plane import FRAME, HEIGHT, THUMBNAIL, WIDTH, class_colours, pictured_points, plane_positions
from winnow.report.chapters import Chapter
from winnow.report.page import Plane, PlaneMark, PlanePicture, card_id
from winnow.verdicts.fates import Fate

PIXELS = 57  # of a small picture's longer side: one and a half times what it is drawn at


PICTURE_BYTES = 4096  # of a small picture, at most; the plane has room for 192


@dataclass(frozen=True)
class _Point:
    """An image on the plane."""

    id: str
    fate: Fate
    left: int
    top: int


def report_plane(
    round_name: str,
    embeddings: pa.Table,
    *,
    fate: Mapping[str, Fate],
    pictures: Callable[[Sequence[str]], Mapping[str, Picture]],
    classes: Sequence[str],
    chapters: Sequence[Chapter],
) -> Plane:
    """The plane of one round, of the images delivered: augmented copies would hide them.

    Args:
        round_name: the round.
        embeddings: id, x, y.
        fate: in the round, by id of every delivered image that was there when it began.
        pictures: from the ids of the few images that are shown, their pictures by id.
        classes: class names.
        chapters: of the round; a marked point leads to the card that one of them shows.
    """
    mine = [row for row, identifier in enumerate(embeddings["id"].to_pylist()) if identifier in fate]
    table = embeddings.take(pa.array(mine, pa.int64()))
    places = plane_positions(*(table[axis].to_numpy().astype(np.float64) for axis in ("x", "y")))  # (N, 2)
    corners = (places * [WIDTH, HEIGHT]).round().astype(int).tolist()
    points = [_Point(one, fate[one], *corner) for one, corner in zip(table["id"].to_pylist(), corners, strict=True)]
    pictured = set(pictured_points(places, [point.fate.touched for point in points]))
    colours = dict(zip(classes, class_colours(len(classes)), strict=True))
    shown = [number in pictured for number in range(len(points))]
    small = pictures([points[number].id for number in sorted(pictured)])
    return Plane(
        round_name=round_name,
        width=WIDTH,
        height=HEIGHT,
        colours=colours,
        dots=_dots([point for point, is_shown in zip(points, shown, strict=True) if not is_shown], colours),
        pictures=[_picture(points[number], small[points[number].id], colours) for number in sorted(pictured)],
        marks=_marks(points, shown, colours, chapters),
        images=len(points),
        dropped=sum(point.fate.label is None for point in points),
        relabelled=sum(point.fate.touched and point.fate.label is not None for point in points),
    )


def _dots(points: Sequence[_Point], colours: Mapping[str, str]) -> dict[str, str]:
    """By colour, one path through all points of a class: a line of no length each, which round ends make a dot."""
    paths: dict[str, list[str]] = {}
    for point in points:
        paths.setdefault(colours[point.fate.given], []).append(f"M{point.left} {point.top}h0")
    return {colour: "".join(parts) for colour, parts in paths.items()}


def _picture(point: _Point, picture: Picture, colours: Mapping[str, str]) -> PlanePicture:
    """The image in a frame of its label's colour, its longer side a thumbnail's."""
    sides = (picture.width, picture.height)
    width, height = (max(1, round(side * THUMBNAIL / max(sides))) for side in sides)
    return PlanePicture(
        left=point.left - width // 2,
        top=point.top - height // 2,
        width=width,
        height=height,
        frame=FRAME,
        colour=colours[point.fate.given],
        uri=picture.uri,
    )


def _marks(
    points: Sequence[_Point], pictured: Sequence[bool], colours: Mapping[str, str], chapters: Sequence[Chapter]
) -> list[PlaneMark]:
    """A mark on every image that was dropped or relabelled; on a picture it stands at the corner and hides nothing."""
    cards = {
        verdict.id: (card_id(verdict.id, chapter), verdict)
        for chapter in chapters
        for group in chapter.groups
        for verdict in group.shown
    }
    marks = []
    for point, is_pictured in zip(points, pictured, strict=True):
        if point.fate.touched:
            aside = THUMBNAIL // 2 if is_pictured else 0
            card, verdict = cards.get(point.id, (None, None))
            marks.append(
                PlaneMark(
                    left=point.left + aside,
                    top=point.top - aside,
                    label_before=point.fate.given,
                    label_after=point.fate.label,
                    colour=None if point.fate.label is None else colours[point.fate.label],
                    card=card,
                    reason=verdict.reason if verdict else "",
                )
            )
    return marks
