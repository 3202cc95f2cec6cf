"""The t-SNE plane as a picture: images as points and small pictures, and marks for what was dropped or relabelled."""

import colorsys
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from winnow.pictures.drawn import drawn_png

WIDTH, HEIGHT = 1200, 900  # pixels of the plane; the legend comes below


MARGIN = 36


RADIUS = 4


CELL, THUMBNAIL, FRAME = 76, 38, 2  # a cell of the plane shows one small picture, framed in its label's colour


FONT_HEIGHT = 15


LEGEND_ROW, LEGEND_COLUMN = 26, 200


LEGEND_CLASSES = 28  # at most, then "and n more"


SCALE = 2  # drawn larger and reduced, since Pillow's circles have steps


COLOURS = 128  # of the palette, where the small pictures are grey


PAPER, TEXT, MARK = "#ffffff", "#1a1a1a", "#111111"


# Ten colours that people with any colour vision tell apart best, after Petroff (2021).
TEN = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"]


Pixels = npt.NDArray[np.uint8]


Floats = npt.NDArray[np.floating]


def plane_positions(x: Floats, y: Floats) -> npt.NDArray[np.float64]:
    """(N, 2) where the points lie in the picture, in [0, 1] of WIDTH and HEIGHT; one scale for both axes."""
    points = np.stack([x, y], axis=1).astype(np.float64)  # (N, 2)
    if not len(points):
        return points
    centre, spans = (points.max(axis=0) + points.min(axis=0)) / 2, np.ptp(points, axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    scale = min((side / span for side, span in zip(room, spans, strict=True) if span > 0), default=1.0)
    offset: npt.NDArray[np.float64] = (points - centre) * scale * np.array([1, -1])  # y grows upwards
    return offset / [WIDTH, HEIGHT] + 0.5


def class_colours(count: int) -> list[str]:
    """As many colours as classes: the ten, then hues a golden angle apart."""
    return [*TEN, *(_hue(number) for number in range(len(TEN), count))][:count]


def _hue(number: int) -> str:
    red, green, blue = colorsys.hls_to_rgb(number * 0.618034 % 1, (0.40, 0.55, 0.68)[number % 3], 0.65)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def plane_view(
    x: Floats,
    y: Floats,
    labels: Sequence[str],
    classes: Sequence[str],
    fates: Sequence[str | None],
    thumbnails: Callable[[Sequence[int]], Sequence[Pixels]],
) -> bytes:
    """PNG bytes of the plane; the same bytes for the same input.

    Args:
        x: (N,) abscissa.
        y: (N,) ordinate.
        labels: (N,) the label that a point is coloured by, one of the classes.
        classes: class names in the order of the colours.
        fates: (N,) the label after the verdicts: another one marks the point as relabelled, None as dropped.
        thumbnails: from the positions of the few points that are shown as pictures, in order, their images: each
            (H, W), (H, W, 1) or (H, W, 3) uint8, of any size.

    Raises:
        ValueError: the lengths differ, or a label is none of the classes.
    """
    if len({len(x), len(y), len(labels), len(fates)}) > 1:
        raise ValueError(
            f"x, y, labels and fates must be of one length, got {len(x)}, {len(y)}, {len(labels)} and {len(fates)}"
        )
    unknown = sorted({*labels, *(fate for fate in fates if fate is not None)} - set(classes))
    if unknown:
        raise ValueError(f"labels and fates must be among the {len(classes)} classes, got {unknown[0]!r}")
    colour = dict(zip(classes, class_colours(len(classes)), strict=True))
    places = plane_positions(x, y)
    at = _drawn(places)  # (N, 2)
    moved = [fate != label for fate, label in zip(fates, labels, strict=True)]
    plane = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), PAPER)
    pen = ImageDraw.Draw(plane)
    for (left, top), label in zip(at.tolist(), labels, strict=True):
        _circle(pen, left, top, RADIUS, fill=colour[label])
    pictured = pictured_points(places, moved)
    shown = thumbnails(pictured)
    for number, pixels in zip(pictured, shown, strict=True):
        picture = _framed(pixels, colour[labels[number]])
        left, top = (int(place) for place in at[number])
        plane.paste(picture, (left - picture.width // 2, top - picture.height // 2))
    at[pictured] += np.array([1, -1]) * (THUMBNAIL * SCALE // 2)  # a mark at the corner hides no picture
    for (left, top), fate, is_moved in zip(at.tolist(), fates, moved, strict=True):
        if is_moved:
            _mark(pen, left, top, None if fate is None else colour[fate])
    parts = [plane.reduce(SCALE), _legend(colour)]
    sheet = Image.new("RGB", (WIDTH, sum(part.height for part in parts)), PAPER)
    for number, part in enumerate(parts):
        sheet.paste(part, (0, number * HEIGHT))
    return drawn_png(sheet, shown, colours=COLOURS)


def pictured_points(places: Floats, moved: Sequence[bool]) -> list[int]:
    """Points to show as small pictures: one a cell, a moved one where there is one, else the nearest to the middle.

    Args:
        places: (N, 2) of ``plane_positions``.
        moved: (N,) whether the image was dropped or relabelled.
    """
    at, side = _drawn(places), CELL * SCALE
    off_centre = np.abs(at % side - side // 2).max(axis=1, initial=0)  # (N,)
    best: dict[tuple[int, int], tuple[bool, int, int]] = {}
    for number, (left, top) in enumerate((at // side).tolist()):
        rank = (not moved[number], int(off_centre[number]), number)
        best[left, top] = min(best.get((left, top), rank), rank)
    return sorted(number for _, _, number in best.values())


def _drawn(places: Floats) -> npt.NDArray[np.int_]:
    """(N, 2) the pixels in which the places lie before the picture is reduced."""
    return (places * [WIDTH * SCALE, HEIGHT * SCALE]).round().astype(int)


def _framed(pixels: Pixels, colour: str) -> Image.Image:
    """The image fitted into a thumbnail, in a frame."""
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels).convert("RGB")
    scale = THUMBNAIL * SCALE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    edge = FRAME * SCALE
    framed = Image.new("RGB", (width + 2 * edge, height + 2 * edge), colour)
    framed.paste(image.resize((width, height), Image.Resampling.BILINEAR), (edge, edge))
    return framed


def _circle(pen: ImageDraw.ImageDraw, left: int, top: int, radius: float, **look: str | int) -> None:
    r = round(radius * SCALE)
    pen.ellipse((left - r, top - r, left + r, top + r), **look)  # type: ignore[arg-type]


def _mark(pen: ImageDraw.ImageDraw, left: int, top: int, colour: str | None) -> None:
    """A cross for a dropped point, a disc in the new label's colour for a relabelled one; a white rim around either."""
    if colour is not None:
        _circle(pen, left, top, 9.5, fill=PAPER)
        _circle(pen, left, top, 8, fill=MARK)
        _circle(pen, left, top, 5.5, fill=colour)
        return
    arm = round(6.5 * SCALE)
    for ink, width in ((PAPER, 6), (MARK, 2.5)):
        for tilt in (1, -1):
            line = (left - arm, top - tilt * arm, left + arm, top + tilt * arm)
            pen.line(line, fill=ink, width=round(width * SCALE))


def _legend(colour: dict[str, str]) -> Image.Image:
    """The marks and what they mean, then the classes in their colours."""
    named = list(colour.items())[:LEGEND_CLASSES]
    across = WIDTH // LEGEND_COLUMN
    texts = ["dropped", "relabelled", *[""] * (across - 2), *(name for name, _ in named)]
    if len(colour) > len(named):
        texts.append(f"and {len(colour) - len(named)} more")
    places = [
        (MARGIN + number % across * LEGEND_COLUMN, number // across * LEGEND_ROW + LEGEND_ROW // 2)
        for number in range(len(texts))
    ]
    height = (places[-1][1] + LEGEND_ROW) * SCALE
    large = Image.new("RGB", (WIDTH * SCALE, height), PAPER)
    pen, font = ImageDraw.Draw(large), ImageFont.load_default(FONT_HEIGHT)
    for (left, top), ink in zip(places, (None, named[0][1] if named else MARK), strict=False):
        _mark(pen, left * SCALE, top * SCALE, ink)
    for (left, top), (_, ink) in zip(places[across:], named, strict=False):
        _circle(pen, left * SCALE, top * SCALE, 6, fill=ink)
    legend = large.reduce(SCALE)
    writer = ImageDraw.Draw(legend)
    for (left, top), text in zip(places, texts, strict=True):
        writer.text((left + 16, top), _cut(text, LEGEND_COLUMN - 36, font), fill=TEXT, font=font, anchor="lm")
    return legend


def _cut(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """One line of at most so many pixels."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    while line and font.getlength(line) > width:
        line = line[:-1]
    return line
