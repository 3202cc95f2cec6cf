"""The letters i, v and x as strokes, in the form that a hand gives them.

Coordinates: y down, from 0 at the top of a capital to 1 on the line; x from 0; lengths in heights of a capital.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from winnow.synthetic.hand import Hand
from winnow.synthetic.pen import Points, Stroke

LOWER_TOP = 0.42  # height of a lower-case letter's top, below which it lies


CURVE_POINTS = 16


CAREFUL = {"sloppiness": 0.008, "bow": 0.012, "tremor": 0.006}  # at most, where a form depends on a stroke's ends


@dataclass(frozen=True)
class Letter:
    """One letter to write; the numbers, where given, take the place of the hand's own."""

    name: str  # i, v or x
    width: float | None = None  # of a v or x
    gap: float | None = None  # to the next letter
    top: float = 0.0  # of an i: how far its top is moved to the right
    foot: float = 0.0  # of an i: how far its foot is moved to the right; of a v: distance between its strokes' feet
    crossing: float | None = None  # where a v's or x's strokes cross: share of the letter's height, above the line
    struck: bool = False  # crossed out by its writer


def letter_strokes(letter: Letter, x: float, width: float, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """One letter between ``x`` and ``x + width``."""
    top = top_of(hand)
    left, middle, right = x, x + width / 2, x + width
    if letter.crossing is not None:
        strokes = _crossing((left, right), top, letter.crossing, _careful(hand), rng)
    elif letter.name == "i":
        pulled = _careful(hand) if letter.top or letter.foot or letter.struck else hand
        strokes = [Stroke(line((x + letter.top, top), (x + letter.foot, 1.0), pulled, rng))]
        if hand.letterform == "lower":
            at = np.array([x + letter.top, rng.uniform(0.08, 0.22)]) + rng.normal(0, 0.03, 2)
            strokes.append(Stroke(np.stack([at, at + rng.normal(0, 0.02, 2)]), weight=float(rng.uniform(0.9, 1.3))))
    elif letter.name == "v" and letter.foot:
        feet = ((middle - letter.foot / 2, 1.0), (middle + letter.foot / 2, 1.0))
        corners = [((left, top), feet[0]), feet, (feet[1], (right, top))]
        strokes = [Stroke(line(start, end, _careful(hand), rng)) for start, end in corners]
    elif letter.name == "v":
        strokes = [Stroke(_vee((left, top), (middle, 1.0), (right, top), hand, rng))]
    else:
        strokes = [
            Stroke(line((left, top), (right, 1.0), hand, rng)),
            Stroke(line((right, top), (left, 1.0), hand, rng)),
        ]
    if hand.letterform == "serif":
        strokes += _serifs(letter, (left, right), hand, rng)
    return strokes + _strike(x, top, hand, rng) if letter.struck else strokes


def top_of(hand: Hand) -> float:
    """Where this hand's letters begin, y."""
    return LOWER_TOP if hand.letterform == "lower" else 0.0


def _careful(hand: Hand) -> Hand:
    """The same hand, its lines ending where they should."""
    return dataclasses.replace(hand, **{habit: min(getattr(hand, habit), most) for habit, most in CAREFUL.items()})


def _crossing(
    sides: tuple[float, float], top: float, crossing: float, hand: Hand, rng: np.random.Generator
) -> list[Stroke]:
    """Two straight lines that cross at a share of the letter's height above the line: low a v, halfway an x."""
    left, right = sides
    foot = (right - left) / (1 - crossing)  # from the top to the line, x gained
    return [
        Stroke(line((left, top), (left + foot / 2, 1.0), hand, rng)),
        Stroke(line((right, top), (right - foot / 2, 1.0), hand, rng)),
    ]


def _serifs(letter: Letter, sides: tuple[float, float], hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A short line across each end."""
    left, right = sides
    ends = {
        "i": [(left + letter.top, 0.0), (left + letter.foot, 1.0)],
        "v": [(left, 0.0), (right, 0.0)],
        "x": [(left, 0.0), (right, 0.0), (left, 1.0), (right, 1.0)],
    }
    if letter.crossing is not None:  # its feet are not below its tops, and a v's are too close for a line
        ends["x"] = ends["v"]
    half = reach(hand)
    return [Stroke(line((at - half, y), (at + half, y), hand, rng)) for at, y in ends[letter.name]]


def _strike(x: float, top: float, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A zigzag or two strokes over an i, which do not reach its neighbours."""
    half = 0.07 + 0.6 * hand.pen
    if rng.random() < 0.5:
        rows = np.linspace(top + 0.12, 0.88, int(rng.integers(4, 7)))
        zigzag = np.stack([x + half * np.where(np.arange(len(rows)) % 2, 1.0, -1.0), rows], axis=1)
        return [Stroke(trembling(zigzag, hand, rng))]
    middle, rise = (top + 1) / 2, rng.uniform(0.05, 0.15)
    return [
        Stroke(line((x - half, at + rise), (x + half, at - rise), _careful(hand), rng))
        for at in (middle - 0.12, middle + 0.12)
    ]


def reach(hand: Hand) -> float:
    """Half the length of a serif, heights."""
    return 0.07 + 0.4 * hand.overshoot


def line(
    start: Sequence[float] | Points, end: Sequence[float] | Points, hand: Hand, rng: np.random.Generator
) -> Points:
    """(n, 2): a straight line as this hand pulls it, bent, trembling, its ends a little off."""
    a = np.asarray(start) + rng.normal(0, hand.sloppiness, 2)
    b = np.asarray(end) + rng.normal(0, hand.sloppiness, 2)
    t = np.linspace(0, 1, CURVE_POINTS)[:, None]  # (n, 1)
    across = np.array([a[1] - b[1], b[0] - a[0]])
    return trembling(a + t * (b - a) + 4 * t * (1 - t) * across * hand.bow * rng.normal(), hand, rng)


def _vee(
    left: tuple[float, float],
    foot: tuple[float, float],
    right: tuple[float, float],
    hand: Hand,
    rng: np.random.Generator,
) -> Points:
    """(2n, 2): down and up in one pull, between a sharp V and the parabola through the same three points."""
    a, b, c = (np.asarray(point) + rng.normal(0, hand.sloppiness, 2) for point in (left, foot, right))
    t = np.linspace(0, 1, 2 * CURVE_POINTS)[:, None]
    sharp = np.where(t < 0.5, a + 2 * t * (b - a), b + (2 * t - 1) * (c - b))
    control = 2 * b - (a + c) / 2
    parabola = (1 - t) ** 2 * a + 2 * t * (1 - t) * control + t**2 * c
    return trembling(sharp + hand.roundness * (parabola - sharp), hand, rng)


def trembling(points: Points, hand: Hand, rng: np.random.Generator) -> Points:
    """The same polyline with this hand's tremor."""
    t = np.linspace(0, 2 * np.pi, len(points))[:, None]  # (n, 1)
    phases = rng.uniform(0, 2 * np.pi, (2, 2))
    moved: Points = points + hand.tremor * (np.sin(1.5 * t + phases[0]) + 0.5 * np.sin(4 * t + phases[1]))
    return moved
