"""Numerals that lean towards another one and are still themselves: what an ambiguous hand writes.

`LEANINGS` says which numerals are mistaken for which, and by what. A numeral that leans keeps a mark by which a careful
reader tells it:

* crossing: the strokes of a v cross at most `V_MOST` of its height above the line, those of an x at least `X_LEAST`;
* meeting: the ink of a v's strokes meets at the foot; between the feet of two i that lean together, white stays;
* touching: two i that run into one at their tops are apart at their feet, which a v's strokes never are;
* crossed_out: a stroke that its writer crossed out does not count.
"""

from dataclasses import dataclass, replace

import numpy as np

from winnow.synthetic.hand import Hand
from winnow.synthetic.letters import LOWER_TOP, Letter, reach
from winnow.synthetic.numerals import written
from winnow.synthetic.pen import Stroke

CROSSING, MEETING, TOUCHING, CROSSED_OUT = "crossing", "meeting", "touching", "crossed_out"


# By the numeral that an image may be taken for: the numerals that it really shows, and by what they are mistaken.
LEANINGS: dict[str, dict[str, str]] = {
    "i": {"ii": TOUCHING},
    "ii": {"i": CROSSED_OUT, "iii": TOUCHING, "v": MEETING},
    "iii": {"ii": CROSSED_OUT, "iv": MEETING, "vi": MEETING},
    "iv": {"v": CROSSED_OUT, "iii": MEETING, "ix": CROSSING},
    "v": {"ii": MEETING, "x": CROSSING},
    "vi": {"v": CROSSED_OUT, "iii": MEETING, "vii": TOUCHING},
    "vii": {"vi": CROSSED_OUT, "viii": TOUCHING},
    "viii": {"vii": CROSSED_OUT},
    "ix": {"x": CROSSED_OUT, "iv": CROSSING},
    "x": {"v": CROSSING},
}


V_MOST, X_LEAST = 0.18, 0.32  # height above the line at which the strokes of a v and an x cross, shares of the letter's


OPENING = (0.36, 0.5)  # between the tops of two strokes that lean together, heights


INKED = 0.5  # distance between two strokes' feet or tops, in pens, at which their ink surely meets


@dataclass(frozen=True)
class Lean:
    """Towards which numeral an attempt leans, and how far."""

    towards: str
    strength: float  # in [0, 1]: 0 not at all, 1 as far as it stays legible


def leans_of(truth: str) -> list[str]:
    """The numerals that this one may be taken for."""
    return [label for label, truths in LEANINGS.items() if truth in truths]


def leaning_strokes(truth: str, lean: Lean, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The strokes of a numeral that leans towards another.

    Args:
        truth: the numeral.
        lean: towards one of ``leans_of(truth)``.
        hand: the writer.
        rng: this attempt's randomness.
    """
    form = {CROSSING: _crossing, MEETING: _meeting, TOUCHING: _touching, CROSSED_OUT: _crossed_out}
    return written(form[LEANINGS[lean.towards][truth]](truth, lean, hand, rng), hand, rng)


def apart(hand: Hand) -> float:
    """Heights between two strokes that leave white between them and their serifs, however this hand presses its pen."""
    return 1.6 * hand.pen + 0.08 + (2 * reach(hand) + 0.08 if hand.letterform == "serif" else 0.0)


def _crossing(truth: str, lean: Lean, hand: Hand, rng: np.random.Generator) -> list[Letter]:
    """The v or x with its strokes crossing between where a v's and an x's do."""
    height = {"v": V_MOST * lean.strength, "x": 0.5 - (0.5 - X_LEAST) * lean.strength}
    return [Letter(name, crossing=height.get(name)) for name in truth]


def _meeting(truth: str, lean: Lean, hand: Hand, rng: np.random.Generator) -> list[Letter]:
    """A v with a blunt foot, or two i with their feet together."""
    letters = [Letter(name) for name in truth]
    opening = max(rng.uniform(*OPENING) * _size(hand), 1.3 * apart(hand))
    if "v" in truth:
        at = truth.index("v")
        letters[at] = Letter("v", width=opening, foot=INKED * hand.pen * lean.strength)
        return letters
    at, moved = lean.towards.index("v"), (opening - apart(hand)) / 2 * lean.strength
    letters[at] = Letter("i", gap=opening, foot=moved)
    letters[at + 1] = Letter("i", foot=-moved)
    return letters


def _touching(truth: str, lean: Lean, hand: Hand, rng: np.random.Generator) -> list[Letter]:
    """Two neighbouring i that run into one at their tops."""
    letters = [Letter(name) for name in truth]
    pairs = [k for k in range(len(truth) - 1) if truth[k : k + 2] == "ii"]
    at, feet = int(rng.choice(pairs)), apart(hand)
    moved = (feet - INKED * hand.pen) / 2 * lean.strength
    letters[at] = Letter("i", gap=feet, top=moved)
    letters[at + 1] = Letter("i", top=-moved)
    return letters


def _crossed_out(truth: str, lean: Lean, hand: Hand, rng: np.random.Generator) -> list[Letter]:
    """The numeral it is taken for, with one i too many crossed out."""
    more = lean.towards
    places = [k for k in range(len(more)) if more[k] == "i" and more[:k] + more[k + 1 :] == truth]
    at, room = int(rng.choice(places)), hand.gap + 0.14 + 0.6 * hand.pen
    letters = [Letter(name, gap=room if k in (at - 1, at) else None) for k, name in enumerate(more)]
    letters[at] = replace(letters[at], struck=True)
    return letters


def _size(hand: Hand) -> float:
    """Of this hand's letters, against capitals."""
    return 1 - 0.45 * (LOWER_TOP if hand.letterform == "lower" else 0.0)
