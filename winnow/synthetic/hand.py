"""Who writes: a hand is a vector of habits, drawn once.

Pools that are drawn separately share no hand. `spread` is how much a pool's hands differ in geometry (slant, tilt,
width, place): a wide test pool has the variation that shear, shift, rotation and zoom add to a narrow training pool.
"""

from dataclasses import dataclass

import numpy as np

LETTERFORMS = ("plain", "bars", "plain", "serif", "lower")  # in turn over a pool's hands, so that each occurs


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


def lone_writer(rng: np.random.Generator, spread: float) -> Hand:
    """A writer of no pool; letterforms as often as in one."""
    return _hand(rng, LETTERFORMS[int(rng.integers(len(LETTERFORMS)))], spread)


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
