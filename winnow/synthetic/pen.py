"""Pen and scanner: strokes in canvas pixels to a grey image that looks written, scanned and cropped.

Pillow rasterises the strokes at twice the canvas; numpy adds what paper and scanner do. Every random choice comes
from the generator that is passed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Points = npt.NDArray[np.float64]


Field = npt.NDArray[np.float64]


Pixels = npt.NDArray[np.uint8]


OVERSAMPLING = 2


GREY_LEVELS = 16  # a scan of line art needs no more, and the PNGs are a third as large as with 256


STEP = 2.5  # canvas pixels between two dabs of the pen: below a pen's width, so that a curve shows no corners


@dataclass(frozen=True)
class Stroke:
    """One pull of the pen."""

    points: Points  # (n, 2): x to the right, y down
    weight: float = 1.0  # of the pen's width; a dot or a blob is heavier than a line


@dataclass(frozen=True)
class Ink:
    """How a pen writes."""

    width: float  # canvas pixels
    pressure: float  # share of the width that swells and shrinks along a stroke
    broken: float  # share of the dabs along a stroke that left no ink, in [0, 1)
    dryness: float  # 0 for a felt tip's smooth edge; 1 for chalk
    grey: float  # 0 black, 255 white


@dataclass(frozen=True)
class Paper:
    """What is written on, and how it was scanned."""

    grey: float  # of the bare paper
    shade: float  # grey levels between the brightest and the darkest corner
    noise: float  # standard deviation of the scanner's noise, in grey levels
    blur: float  # radius of a Gaussian blur, canvas pixels
    grid: float  # share of the ruled lines that the scanner kept, 0 for plain paper
    specks: float  # expected number of specks of dust
    inverted: bool  # white on black


def write(strokes: Sequence[Stroke], shape: tuple[int, int], ink: Ink, rng: np.random.Generator) -> Field:
    """(H, W) cover of the ink in [0, 1]; strokes in canvas pixels."""
    height, width = shape
    canvas = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    brush = ImageDraw.Draw(canvas)
    for stroke in strokes:
        _pull(brush, stroke, ink, rng)
    if ink.dryness > 0:
        canvas = canvas.filter(ImageFilter.BoxBlur(1))  # an edge wide enough to be rough; a line's core stays black
    cover = np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float64) / 255  # (H, W)
    if ink.dryness > 0:
        grain = _smooth_noise(shape, rng)  # (H, W)
        cover = np.clip((cover - 0.45 + 0.28 * ink.dryness * grain * (cover > 0.02)) * 2 + 0.5, 0, 1)
    return cover


def _pull(brush: ImageDraw.ImageDraw, stroke: Stroke, ink: Ink, rng: np.random.Generator) -> None:
    """Draw one stroke as round dabs joined by lines, thicker where the pen is pressed, absent where it skips."""
    points = resample(stroke.points, STEP)
    n = len(points)
    swell = _wave(n, rng)
    widths = np.maximum(1.0, ink.width * stroke.weight * (1 + ink.pressure * swell) * OVERSAMPLING)  # (n,)
    skips = np.zeros(n, dtype=bool)
    if ink.broken > 0 and n > 6:
        wave = _wave(n, rng, cycles=n / 4)
        skips = wave < np.quantile(wave, ink.broken)
    points = points * OVERSAMPLING
    for k in range(n):
        if skips[k]:
            continue
        (x, y), radius = points[k], widths[k] / 2
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        if k and not skips[k - 1]:
            brush.line((*points[k - 1], x, y), fill=255, width=max(1, round(widths[k])))


def resample(points: Points, step: float) -> Points:
    """The polyline again, (m, 2), with at most ``step`` between two points."""
    lengths = np.hypot(*np.diff(points, axis=0).T)  # (n - 1,)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    count = max(2, int(np.ceil(along[-1] / step)) + 1)
    at = np.linspace(0, along[-1], count)
    return np.stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)], axis=1)


def _wave(n: int, rng: np.random.Generator, cycles: float = 1.5) -> Field:
    """(n,) smooth random curve within [-1, 1]."""
    t = np.linspace(0, 2 * np.pi, n)
    a, b, c = rng.uniform(0, 2 * np.pi, 3)
    wave: Field = (np.sin(cycles * t + a) + 0.6 * np.sin(1.7 * cycles * t + b) + 0.4 * np.sin(2.9 * cycles * t + c)) / 2
    return wave


def _smooth_noise(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """(H, W) noise, standard deviation about 1, correlated over two pixels."""
    noise = rng.standard_normal((shape[0] + 1, shape[1] + 1))
    smooth: Field = (noise[1:, 1:] + noise[:-1, 1:] + noise[1:, :-1] + noise[:-1, :-1]) / 2
    return smooth


def scan(cover: Field, ink: Ink, paper: Paper, rng: np.random.Generator) -> Pixels:
    """(H, W) uint8: the written sheet as the scanner delivers it."""
    height, width = cover.shape
    marks = np.maximum(cover, _ruling((height, width), paper.grid, rng)) if paper.grid > 0 else cover.copy()
    _add_specks(marks, rng.poisson(paper.specks), rng)
    light = np.full((height, width), paper.grey)
    if paper.shade > 0:
        angle = rng.uniform(0, 2 * np.pi)
        across = np.linspace(-0.5, 0.5, width) * np.cos(angle) + np.linspace(-0.5, 0.5, height)[:, None] * np.sin(angle)
        light += paper.shade * (across - np.abs(across).max())
    grey = light + marks * (ink.grey - light)  # (H, W)
    if paper.blur > 0:
        sheet = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
        grey = np.asarray(sheet.filter(ImageFilter.GaussianBlur(paper.blur)), dtype=np.float64)
    if paper.noise > 0:
        grey = grey + rng.normal(0, paper.noise, (height, width))
    if paper.inverted:
        grey = 255 - grey
    step = 255 / (GREY_LEVELS - 1)
    return np.round(np.round(np.clip(grey, 0, 255) / step) * step).astype(np.uint8)


def _ruling(shape: tuple[int, int], kept: float, rng: np.random.Generator) -> Field:
    """(H, W) cover of ruled lines; a scanner set for ink keeps them as rows of dots."""
    lines = np.zeros(shape)
    spacing = rng.uniform(0.22, 0.5) * min(shape)
    for axis in (0, 1):
        for position in np.arange(rng.uniform(0, spacing), shape[axis] - 1, spacing):
            along = shape[1 - axis]
            dots = (_wave(along, rng, cycles=along / 7) + 1) / 2 < kept  # (along,)
            row = int(position)
            strength = dots * rng.uniform(0.45, 0.95)
            if axis == 0:
                lines[row, :] = np.maximum(lines[row, :], strength)
            else:
                lines[:, row] = np.maximum(lines[:, row], strength)
    return lines


def _add_specks(marks: Field, count: int, rng: np.random.Generator) -> None:
    """Dust, in place: squares of one to three pixels."""
    for _ in range(count):
        side = int(rng.integers(1, 4))
        y, x = (int(rng.integers(0, extent)) for extent in marks.shape)
        marks[y : y + side, x : x + side] = rng.uniform(0.4, 1.0)
