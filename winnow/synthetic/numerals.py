"""Roman numerals as strokes, by hands that each write in their own way.

A hand is a vector of habits, drawn once; an image is one hand's attempt, drawn around those habits. Pools that are
drawn separately share no hand. `spread` is how much a pool's hands differ in geometry (slant, tilt, width, place): a
wide test pool has the variation that shear, shift, rotation and zoom add to a narrow training pool.

Coordinates before placing: y down, from 0 at the top of a capital to 1 on the line; x from 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from winnow.synthetic.pen import Ink, Paper, Points, Stroke

CLASSES = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")


LETTERFORMS = ("plain", "bars", "plain", "serif", "lower")  # in turn over a pool's hands, so that each occurs


LOWER_TOP = 0.42  # height of a lower-case letter's top, below which it lies


CURVE_POINTS = 16


@dataclass(frozen=True)
class Hand:
    """One writer's habits."""

    letterform: str  # plain, bars (over the whole numeral), serif (on each letter), lower (dotted i)
    slant: float  # shear: x gained over one height
    tilt: float  # of the line, degrees
    squeeze: float  # factor on the width
    gap: float  # between letters, in heights
    bow: float  # how much a straight line bends, in heights
    tremor: float  # amplitude of the wobble, in heights
    sloppiness: float  # standard deviation of a line's ends, in heights
    roundness: float  # of the foot of a V: 0 sharp, 1 a U
    overshoot: float  # of bars and serifs, in heights
    pen: float  # width, in heights
    pressure: float
    broken: float
    dryness: float
    ink_grey: float
    height: float  # of a numeral, in canvas heights
    wander: float  # how much of the free room the place varies over, in [0, 1]
    unsteadiness: float  # of slant, tilt and height from one attempt to the next
    cropped: float  # share of attempts with a neighbour in view or an end cut off
    paper_grey: float
    shade: float
    noise: float
    blur: float
    grid: float


def hands(rng: np.random.Generator, count: int, *, spread: float) -> list[Hand]:
    """A pool of writers.

    Args:
        rng: where their habits come from.
        count: writers.
        spread: how much their geometry differs; 1 is what many people's scans show, at 0 all write alike.
    """
    return [_hand(rng, LETTERFORMS[number % len(LETTERFORMS)], spread) for number in range(count)]


def _hand(rng: np.random.Generator, letterform: str, spread: float) -> Hand:
    grey_paper = rng.random() < 0.25
    pen = float(rng.uniform(0.1, 0.15) if rng.random() < 0.3 else rng.uniform(0.035, 0.09))
    return Hand(
        letterform=letterform,
        slant=float(rng.uniform(-0.3, 0.45) * spread),
        tilt=float(rng.uniform(-14, 14) * spread),
        squeeze=float(np.exp(rng.uniform(-0.4, 0.4) * spread)),
        gap=float(rng.uniform(0.15, 0.3) + pen),  # a thick pen needs room, or two strokes run into one
        bow=float(rng.uniform(0.01, 0.07)),
        tremor=float(rng.uniform(0.003, 0.02)),
        sloppiness=float(rng.uniform(0.015, 0.06)),
        roundness=float(rng.choice([0.0, rng.uniform(0.1, 0.5)])),
        overshoot=float(rng.uniform(0.05, 0.2)),
        pen=pen,
        pressure=min(float(rng.uniform(0.1, 0.45)), 0.018 / pen),  # a thick pen that swells fills the letters
        broken=float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.1, 0.35)])),
        dryness=float(rng.uniform(0.2, 1.0)),
        ink_grey=float(rng.choice([rng.uniform(0, 25), rng.uniform(40, 90)])),
        height=float(0.58 * np.exp(rng.uniform(-0.6, 0.35) * spread)),
        wander=float(min(1.0, rng.uniform(0.5, 1.0) * spread)),
        unsteadiness=float(rng.uniform(0.5, 1.0) * spread),
        cropped=float(rng.choice([0.0, 0.0, rng.uniform(0.1, 0.5)])),
        paper_grey=float(rng.uniform(215, 245) if grey_paper else 255),
        shade=float(rng.uniform(10, 60) if grey_paper else 0),
        noise=float(rng.uniform(1, 4) if grey_paper else 0),
        blur=float(rng.choice([0.0, rng.uniform(0.3, 0.9)])),
        grid=float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.2, 0.6)])),
    )


# --- strokes ------------------------------------------------------------------------------------------------------


def numeral_strokes(text: str, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The strokes of one numeral as this hand writes it.

    Args:
        text: letters among i, v and x.
        hand: the writer.
        rng: this attempt's randomness.
    """
    strokes: list[Stroke] = []
    top = LOWER_TOP if hand.letterform == "lower" else 0.0
    gap = hand.gap + (_reach(hand) if hand.letterform == "serif" else 0.0)  # else neighbours' serifs become one bar
    x = 0.0
    for letter in text:
        width = {"i": 0.0, "v": 0.5, "x": 0.52}[letter] * hand.squeeze * (1 - 0.45 * top) * rng.uniform(0.85, 1.15)
        width += hand.pen if letter != "i" else 0.0
        strokes += _letter(letter, x, width, top, hand, rng)
        x += width + gap * hand.squeeze * rng.uniform(0.8, 1.25)
    if hand.letterform == "bars":
        right = max(float(stroke.points[:, 0].max()) for stroke in strokes)
        for y in (0.0, 1.0):
            ends = np.array([[-hand.overshoot, y], [right + hand.overshoot, y]])
            strokes.append(Stroke(line(ends[0], ends[1], hand, rng)))
    return strokes


def _letter(letter: str, x: float, width: float, top: float, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """One letter between ``x`` and ``x + width``."""
    left, middle, right = x, x + width / 2, x + width
    if letter == "i":
        strokes = [Stroke(line((x, top), (x, 1.0), hand, rng))]
        if hand.letterform == "lower":
            at = np.array([x, rng.uniform(0.08, 0.22)]) + rng.normal(0, 0.03, 2)
            strokes.append(Stroke(np.stack([at, at + rng.normal(0, 0.02, 2)]), weight=float(rng.uniform(0.9, 1.3))))
    elif letter == "v":
        strokes = [Stroke(_vee((left, top), (middle, 1.0), (right, top), hand, rng))]
    else:
        strokes = [
            Stroke(line((left, top), (right, 1.0), hand, rng)),
            Stroke(line((right, top), (left, 1.0), hand, rng)),
        ]
    if hand.letterform == "serif":
        ends = {
            "i": [(x, 0.0), (x, 1.0)],
            "v": [(left, 0.0), (right, 0.0)],
            "x": [(left, 0.0), (right, 0.0), (left, 1.0), (right, 1.0)],
        }
        reach = _reach(hand)
        strokes += [Stroke(line((at - reach, y), (at + reach, y), hand, rng)) for at, y in ends[letter]]
    return strokes


def _reach(hand: Hand) -> float:
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


# --- one attempt --------------------------------------------------------------------------------------------------


def canvas_shape(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of a crop, pixels: people crop by eye."""
    height = int(rng.integers(84, 120))
    return height, int(np.clip(height * np.exp(rng.normal(0.1, 0.17)), 80, 150))


def place(strokes: Sequence[Stroke], shape: tuple[int, int], hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The strokes on the canvas: slanted, tilted, scaled and shifted as this hand does."""
    if not strokes:
        return []
    shake = hand.unsteadiness
    slant = hand.slant + rng.normal(0, 0.08) * shake
    angle = np.deg2rad(hand.tilt + rng.normal(0, 4) * shake)
    shear = np.array([[1.0, -slant], [0.0, 1.0]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = [stroke.points @ (turn @ shear).T for stroke in strokes]
    everything = np.concatenate(moved)
    low, high = everything.min(axis=0), everything.max(axis=0)
    extent = np.maximum(high - low, 0.15)  # (2,) width, height
    room = np.array([shape[1], shape[0]], dtype=np.float64)
    scale = min(hand.height * np.exp(rng.normal(0, 0.12) * shake) * shape[0], *(0.9 * room / extent))
    free = room - scale * extent  # (2,)
    share = 0.5 + 0.5 * hand.wander * rng.uniform(-1, 1, 2)
    if rng.random() < hand.cropped:
        share = share + rng.choice([-1, 1], 2) * rng.uniform(0, 0.12, 2) * scale * extent / np.maximum(free, 1)
    return [
        Stroke((points - low) * scale + share * free, stroke.weight)
        for points, stroke in zip(moved, strokes, strict=True)
    ]


def ink_of(hand: Hand, placed: Sequence[Stroke], shape: tuple[int, int], rng: np.random.Generator) -> Ink:
    """This attempt's pen: in proportion to the writing, never thinner than a scanner sees."""
    rows = np.concatenate([stroke.points[:, 1] for stroke in placed]) if placed else np.zeros(1)
    height = max(float(np.ptp(rows)), 0.25 * shape[0])
    return Ink(
        width=max(1.3, hand.pen * height * rng.uniform(0.85, 1.2)),
        pressure=hand.pressure,
        broken=hand.broken * rng.uniform(0.3, 1.2),
        dryness=hand.dryness,
        grey=hand.ink_grey,
    )


def paper_of(hand: Hand, rng: np.random.Generator, *, inverted: bool) -> Paper:
    """This attempt's sheet."""
    return Paper(
        grey=hand.paper_grey,
        shade=hand.shade * rng.uniform(0.5, 1.2),
        noise=hand.noise,
        blur=hand.blur,
        grid=hand.grid * float(rng.random() < 0.7),
        specks=float(rng.choice([0.0, 0.0, 1.0, 6.0])),
        inverted=inverted,
    )
