"""What does not belong in a folder of numerals i to x: drawings, other numerals, blots, scraps and empty paper.

Coordinates as in `winnow.synthetic.numerals`: about one height tall, y down.
"""

from collections.abc import Callable

import numpy as np

from winnow.synthetic.hand import Hand
from winnow.synthetic.letters import line, trembling
from winnow.synthetic.numerals import numeral_strokes
from winnow.synthetic.pen import Points, Stroke

BEYOND = ("xi", "xii", "xiii", "xiv", "xv", "xvi", "xx", "vx", "iix")


# Letters and digits as polylines, several of them almost a numeral.
GLYPHS: dict[str, list[list[tuple[float, float]]]] = {
    "N": [[(0, 1), (0, 0), (0.6, 1), (0.6, 0)]],
    "W": [[(0, 0), (0.25, 1), (0.45, 0.3), (0.65, 1), (0.9, 0)]],
    "Z": [[(0, 0), (0.6, 0), (0, 1), (0.6, 1)]],
    "A": [[(0, 1), (0.3, 0), (0.6, 1)], [(0.12, 0.6), (0.48, 0.6)]],
    "T": [[(0, 0), (0.7, 0)], [(0.35, 0), (0.35, 1)]],
    "Y": [[(0, 0), (0.3, 0.5)], [(0.6, 0), (0.3, 0.5), (0.3, 1)]],
    "4": [[(0.4, 0), (0, 0.6), (0.6, 0.6)], [(0.45, 0.3), (0.45, 1)]],
    "7": [[(0, 0), (0.55, 0), (0.2, 1)]],
    "5": [[(0.5, 0), (0.1, 0), (0.05, 0.45), (0.45, 0.5), (0.5, 0.85), (0.2, 1), (0, 0.9)]],
    "#": [[(0.2, 0), (0.1, 1)], [(0.6, 0), (0.5, 1)], [(0, 0.3), (0.7, 0.3)], [(0, 0.7), (0.7, 0.7)]],
}


def _closed(x: Points, y: Points, hand: Hand, rng: np.random.Generator) -> Stroke:
    return Stroke(trembling(np.stack([x, y], axis=1), hand, rng))


def _circle(centre: tuple[float, float], radius: float, hand: Hand, rng: np.random.Generator) -> Stroke:
    t = np.linspace(0, 2 * np.pi * rng.uniform(0.95, 1.1), 40) + rng.uniform(0, 6)
    return _closed(centre[0] + radius * np.cos(t), centre[1] + radius * np.sin(t), hand, rng)


def heart(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A heart."""
    t = np.linspace(0.15, 2 * np.pi, 60)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return [_closed(x / 30, y / 30, hand, rng)]


def face(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """Eyes and a mouth, mostly in a circle."""
    t = np.linspace(0.2, np.pi - 0.2, 20)
    mood = rng.choice([-1, 1])
    strokes = [_closed(0.28 * np.cos(t), 0.18 + mood * 0.18 * (np.sin(t) - 0.5), hand, rng)]
    strokes += [Stroke(line((x, -0.2), (x, -0.1), hand, rng), weight=1.3) for x in (-0.18, 0.18)]
    return [*strokes, _circle((0, 0), 0.5, hand, rng)] if rng.random() < 0.75 else strokes


def star(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """Five points in one pull."""
    t = np.arange(6) * 4 * np.pi / 5 - np.pi / 2 + rng.normal(0, 0.12, 6)
    corners = 0.5 * np.stack([np.cos(t), np.sin(t)], axis=1)
    return [Stroke(line(corners[k], corners[k + 1], hand, rng)) for k in range(5)]


def spiral(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """Two to four turns."""
    t = np.linspace(0, 2 * np.pi * rng.uniform(2, 4), 120)
    return [_closed(0.5 * t / t[-1] * np.cos(t), 0.5 * t / t[-1] * np.sin(t), hand, rng)]


def sun(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A circle with rays, or a flower."""
    rays = int(rng.integers(6, 11))
    turns = [2 * np.pi * k / rays for k in range(rays)]
    if rng.random() < 0.5:
        petals = [_circle((0.33 * np.cos(a), 0.33 * np.sin(a)), 0.15, hand, rng) for a in turns]
        return [_circle((0, 0), 0.17, hand, rng), *petals]
    ends = [(np.array([np.cos(a), np.sin(a)])) for a in turns]
    return [_circle((0, 0), 0.25, hand, rng), *(Stroke(line(0.33 * e, 0.5 * e, hand, rng)) for e in ends)]


def _tangle(rng: np.random.Generator, points: int) -> Points:
    """(n, 2) a random closed-in curve about one height across."""
    t = np.linspace(0, 2 * np.pi, points)[:, None]
    rates = rng.uniform(1, 7, (3, 2))
    phases = rng.uniform(0, 2 * np.pi, (3, 2))
    tangle: Points = np.sin(rates[:, None] * t + phases[:, None]).sum(axis=0) / 5
    return tangle


def scribble(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A random line without meaning."""
    return [Stroke(_tangle(rng, 160) * rng.uniform(0.6, 1.2, 2))]


def blot(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """Something blacked out."""
    return [Stroke(0.5 * _tangle(rng, 120), weight=float(rng.uniform(3, 6)))]


def beyond(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A numeral that is none of the ten."""
    return numeral_strokes(str(rng.choice(BEYOND)), hand, rng)


def glyph(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A letter or a digit."""
    parts = GLYPHS[str(rng.choice(list(GLYPHS)))]
    return [Stroke(line(part[k], part[k + 1], hand, rng)) for part in parts for k in range(len(part) - 1)]


def struck_out(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A numeral that its writer crossed out."""
    strokes = numeral_strokes(str(rng.choice(["iv", "vii", "ix", "vi", "iii"])), hand, rng)
    points = np.concatenate([stroke.points for stroke in strokes])
    low, high = points.min(axis=0), points.max(axis=0)
    rows = np.linspace(low[1] + 0.1, high[1] - 0.1, int(rng.integers(5, 9)))
    zigzag = np.stack([np.where(np.arange(len(rows)) % 2, high[0] + 0.15, low[0] - 0.15), rows], axis=1)
    return [*strokes, Stroke(trembling(zigzag + rng.normal(0, 0.05, zigzag.shape), hand, rng))]


def fragments(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """Rows of dots and short scraps: what is left of a ruled sheet."""
    starts = np.stack([rng.choice([0.0, 0.4, 0.8, 1.2], 18), rng.uniform(0, 1, 18)], axis=1)
    return [Stroke(np.stack([at, at + rng.normal(0, 0.02, 2)]), weight=0.8) for at in starts]


def blank(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """An empty sheet, or one short line."""
    at = rng.uniform(0, 1, 2)
    return [Stroke(np.stack([at, at + rng.normal(0, 0.15, 2)]), weight=0.6)] if rng.random() < 0.6 else []


KINDS: tuple[Callable[[Hand, np.random.Generator], list[Stroke]], ...] = (
    heart, face, star, spiral, sun, scribble, scribble, blot, beyond, beyond, beyond, glyph, glyph,
    struck_out, fragments, blank,
)  # fmt: skip


def junk_strokes(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The strokes of one piece of junk, of a random kind."""
    return KINDS[int(rng.integers(len(KINDS)))](hand, rng)
