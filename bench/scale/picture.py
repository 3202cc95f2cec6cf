"""The picture of scale: CPU seconds and memory of every stage by the number of images, both axes logarithmic."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

Lines = Mapping[str, Mapping[int, float]]  # by stage, the cost by size

WIDTH, HEIGHT = 1280, 620
MARGIN = (70, 40, 20, 50)  # left, top, right, bottom of a panel
LEGEND = 240
FONT = ImageFont.load_default(15)
COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip
GREY, BLACK = "#bbbbbb", "#222222"


@dataclass(frozen=True)
class Panel:
    """One of the two plots."""

    title: str
    lines: Lines
    marks: Sequence[tuple[float, str]] = ()  # horizontal lines with their words


def draw_scale(panels: Sequence[Panel]) -> bytes:
    """PNG of panels side by side, and a legend."""
    sheet = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(sheet)
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    style = {
        name: (COLOURS[place % len(COLOURS)], 4 if place < len(COLOURS) else 2) for place, name in enumerate(names)
    }
    width = (WIDTH - LEGEND) // len(panels)
    for number, panel in enumerate(panels):
        _draw_panel(pen, panel, number * width, width, style)
    for place, name in enumerate(names):
        y = MARGIN[1] + 22 * place
        colour, thick = style[name]
        pen.line((WIDTH - LEGEND + 5, y + 9, WIDTH - LEGEND + 35, y + 9), colour, thick)
        pen.text((WIDTH - LEGEND + 42, y), name, BLACK, FONT)
    sink = io.BytesIO()
    sheet.quantize(64).save(sink, "PNG", optimize=True)
    return sink.getvalue()


def _draw_panel(
    pen: ImageDraw.ImageDraw, panel: Panel, left: int, width: int, style: Mapping[str, tuple[str, int]]
) -> None:
    if not panel.lines:
        return
    sizes = sorted({size for line in panel.lines.values() for size in line})
    costs = [cost for line in panel.lines.values() for cost in line.values()] + [mark for mark, _ in panel.marks]
    bottom, top = 10.0 ** math.floor(math.log10(min(costs))), 10.0 ** math.ceil(math.log10(max(costs)))
    box = (left + MARGIN[0], MARGIN[1], left + width - MARGIN[2], HEIGHT - MARGIN[3])
    across = Axis(sizes[0], sizes[-1], box[0] + 10, box[2] - 10)
    up = Axis(bottom, top, box[3], box[1])
    pen.text((box[0], 12), panel.title, BLACK, FONT)
    pen.rectangle(box, outline=GREY)
    for power in range(round(math.log10(bottom)), round(math.log10(top)) + 1):
        y = up.place(10.0**power)
        pen.line((box[0], y, box[2], y), "#eeeeee")
        pen.text((box[0] - 6, y), f"{10.0**power:,g}", BLACK, FONT, anchor="rm")
    for size in sizes:
        pen.text((across.place(size), box[3] + 8), f"{size:,}", BLACK, FONT, anchor="mt")
    for mark, words in panel.marks:
        y = up.place(mark)
        pen.line((box[0], y, box[2], y), BLACK)
        pen.text((box[0] + 8, y - 3), words, BLACK, FONT, anchor="lb")
    for name, line in panel.lines.items():
        points = [(across.place(size), up.place(cost)) for size, cost in sorted(line.items())]
        colour, thick = style[name]
        pen.line(points, colour, thick)
        for x, y in points:
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), colour)


@dataclass(frozen=True)
class Axis:
    """A logarithmic one."""

    low: float
    high: float
    start: float  # pixels
    end: float

    def place(self, value: float) -> float:
        """Pixels of a value."""
        whole = math.log(self.high / self.low) or 1.0
        return self.start + (self.end - self.start) * math.log(value / self.low) / whole
