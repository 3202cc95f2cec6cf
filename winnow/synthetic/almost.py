"""Junk that is almost the numeral under which it is filed: a letter too many, another one, unfinished, crossed out.

What people file is seldom far from its folder, so that a classifier finds such junk far less surely than junk of any
other kind. A careful reader sees that it is none of the ten.
"""

import numpy as np

from winnow.synthetic.hand import Hand
from winnow.synthetic.near_junk import drawn, pair, stopped, struck_through, tallied
from winnow.synthetic.numerals import numeral_strokes
from winnow.synthetic.pen import Stroke

# Longer numerals, and letters in no numeral's order, that hold the numeral and a letter more.
LONGER: dict[str, tuple[str, ...]] = {
    "i": (),
    "ii": (),
    "iii": ("iiii", "iiii"),
    "iv": ("iiv", "ivi", "xiv"),
    "v": ("vv", "xv", "vx"),
    "vi": ("ivi", "vvi", "vix"),
    "vii": ("ivii", "viiv", "xvii"),
    "viii": ("viiii", "viiii", "xviii"),
    "ix": ("iix", "ixi", "xix"),
    "x": ("xi", "xx", "xv"),
}


# Letters of `winnow.synthetic.near_junk.LETTERS` that look like it.
ALIKE: dict[str, tuple[str, ...]] = {
    "i": ("L", "T", "P"),
    "ii": ("H", "N"),
    "iii": ("N", "M"),
    "iv": ("N", "M", "W"),
    "v": ("Y", "y", "A", "W"),
    "vi": ("W", "N"),
    "ix": ("K",),
    "x": ("Y", "y", "K"),
}


def almost_strokes(label: str, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The strokes of one piece of junk that is almost the numeral, of a random kind among those that it has.

    Args:
        label: the numeral under which it is filed.
        hand: the writer.
        rng: this attempt's randomness.
    """
    ways = ["longer", "longer"] if LONGER[label] else []
    ways += ["alike"] if label in ALIKE else []
    ways += ["tallied"] if label in ("ii", "iii") else []
    ways += ["stopped"] if label in ("iv", "v", "vi", "ix", "x") else []
    way = str(rng.choice([*ways, "struck through", "pair"]))
    if way == "longer":
        return numeral_strokes(str(rng.choice(LONGER[label])), hand, rng)
    if way == "alike":
        return drawn(str(rng.choice(ALIKE[label])), hand, rng)
    if way == "tallied":
        return tallied(len(label), hand, rng)
    if way == "stopped":
        return stopped(label, hand, rng)
    return struck_through(label, hand, rng) if way == "struck through" else pair(label, hand, rng)
