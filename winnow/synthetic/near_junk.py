"""Junk that is almost a numeral i to x: longer numerals, two at once, unfinished, crossed out, letters and tallies.

None of it can be read as one of the ten by a careful reader. Coordinates as in `winnow.synthetic.letters`.
"""

from collections.abc import Callable

import numpy as np

from winnow.synthetic.hand import Hand
from winnow.synthetic.letters import line, top_of
from winnow.synthetic.numerals import CLASSES, numeral_strokes
from winnow.synthetic.pen import Points, Stroke

BEYOND = ("xi", "xii", "iiii", "vv", "viiii", "xv", "xx", "vx", "iix", "iiv", "ixi", "ivi", "xiv")


# Letters as polylines whose strokes are those of a v, an x or several i, with one too many or in other places.
LETTERS: dict[str, list[list[tuple[float, float]]]] = {
    "Y": [[(0, 0), (0.28, 0.5)], [(0.56, 0), (0.28, 0.5), (0.28, 1)]],
    "y": [[(0, 0), (0.26, 0.55)], [(0.52, 0), (0, 1)]],
    "H": [[(0, 0), (0, 1)], [(0.5, 0), (0.5, 1)], [(0, 0.5), (0.5, 0.5)]],
    "N": [[(0, 1), (0, 0), (0.5, 1), (0.5, 0)]],
    "K": [[(0, 0), (0, 1)], [(0.5, 0), (0, 0.55), (0.5, 1)]],
    "W": [[(0, 0), (0.22, 1), (0.42, 0.25), (0.62, 1), (0.84, 0)]],
    "M": [[(0, 1), (0.08, 0), (0.38, 0.8), (0.68, 0), (0.76, 1)]],
    "A": [[(0, 1), (0.3, 0), (0.6, 1)], [(0.12, 0.62), (0.48, 0.62)]],
    "L": [[(0, 0), (0, 1), (0.5, 1)]],
    "T": [[(0, 0), (0.6, 0)], [(0.3, 0), (0.3, 1)]],
    "P": [[(0, 1), (0, 0), (0.35, 0.08), (0.4, 0.28), (0.3, 0.48), (0, 0.52)]],
}


def _extent(strokes: list[Stroke]) -> tuple[Points, Points]:
    points = np.concatenate([stroke.points for stroke in strokes])
    return points.min(axis=0), points.max(axis=0)


def _moved(strokes: list[Stroke], by: tuple[float, float]) -> list[Stroke]:
    return [Stroke(stroke.points + np.array(by), stroke.weight) for stroke in strokes]


def beyond(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The letters of numerals, but none of the ten."""
    return numeral_strokes(str(rng.choice(BEYOND)), hand, rng)


def two_at_once(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """Two numerals side by side, far enough apart to be two, or one above the other."""
    return pair(str(rng.choice(CLASSES)), hand, rng)


def pair(first_name: str, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The numeral and another beside or below it."""
    others = [name for name in CLASSES if first_name + name not in CLASSES]  # v and ii would be a sound vii
    first, second = (numeral_strokes(name, hand, rng) for name in (first_name, str(rng.choice(others))))
    (low, high), (left, _) = _extent(first), _extent(second)
    if rng.random() < 0.5:
        return first + _moved(second, (float(high[0] - left[0]) + rng.uniform(0.8, 1.1), 0.0))
    return first + _moved(second, (float(low[0] - left[0]) + rng.uniform(-0.2, 0.2), rng.uniform(1.3, 1.5)))


def unfinished(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A v or x, with i before or after it, one of whose strokes stops halfway."""
    return stopped(str(rng.choice(["iv", "v", "vi", "ix", "x", "x"])), hand, rng)


def stopped(text: str, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The numeral, one stroke of whose v or x stops halfway."""
    strokes = numeral_strokes(text, hand, rng)
    strokes_of_i = {"serif": 3, "lower": 2}.get(hand.letterform, 1)
    at = strokes_of_i * text.index("v" if "v" in text else "x")
    points = strokes[at].points
    kept = points[: round(len(points) * (0.65 if "v" in text else 0.5))]  # a v is one pull, down and up
    return [*strokes[:at], Stroke(kept, strokes[at].weight), *strokes[at + 1 :]]


def letter(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A letter of other words."""
    return drawn(str(rng.choice(list(LETTERS))), hand, rng)


def drawn(name: str, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """One of `LETTERS`."""
    parts = LETTERS[name]
    wide = hand.squeeze * rng.uniform(0.85, 1.15)
    return [
        Stroke(line((part[k][0] * wide, part[k][1]), (part[k + 1][0] * wide, part[k + 1][1]), hand, rng))
        for part in parts
        for k in range(len(part) - 1)
    ]


def tally(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """Two to four strokes and a fifth across all of them."""
    return tallied(int(rng.integers(2, 5)), hand, rng)


def tallied(count: int, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """So many strokes and one more across all of them."""
    strokes = numeral_strokes("i" * count, hand, rng)
    low, high = _extent(strokes)
    start, end = (low[0] - 0.15, rng.uniform(0.6, 0.85)), (high[0] + 0.15, rng.uniform(0.2, 0.45))
    return [*strokes, Stroke(line(start, end, hand, rng))]


def crossed_out(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """A whole numeral with one or two lines through it."""
    return struck_through(str(rng.choice(CLASSES)), hand, rng)


def struck_through(text: str, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The numeral with one or two lines through all of it."""
    strokes = numeral_strokes(text, hand, rng)
    low, high = _extent(strokes)
    middle, tilt = (1 + top_of(hand)) / 2, rng.uniform(-0.2, 0.2)
    heights = (middle,) if rng.random() < 0.5 else (middle - 0.12, middle + 0.12)
    ends = (low[0] - 0.2, high[0] + 0.2)
    return strokes + [Stroke(line((ends[0], at + tilt), (ends[1], at - tilt), hand, rng)) for at in heights]


NEAR_KINDS: tuple[Callable[[Hand, np.random.Generator], list[Stroke]], ...] = (
    beyond, beyond, beyond, two_at_once, unfinished, letter, letter, tally, crossed_out,
)  # fmt: skip


def near_junk_strokes(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The strokes of one piece of junk close to the classes, of a random kind."""
    return NEAR_KINDS[int(rng.integers(len(NEAR_KINDS)))](hand, rng)
