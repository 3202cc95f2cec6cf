"""Roman numerals as strokes, by hands that each write in their own way.

An image is one hand's attempt, drawn around that hand's habits.

Coordinates before placing: y down, from 0 at the top of a capital to 1 on the line; x from 0.
"""

from collections.abc import Sequence

import numpy as np

from winnow.synthetic.hand import Hand
from winnow.synthetic.letters import Letter, letter_strokes, line, reach, top_of
from winnow.synthetic.pen import Ink, Paper, Stroke

CLASSES = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")


# --- strokes ------------------------------------------------------------------------------------------------------


def numeral_strokes(text: str, hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The strokes of one numeral as this hand writes it.

    Args:
        text: letters among i, v and x.
        hand: the writer.
        rng: this attempt's randomness.
    """
    return written([Letter(name) for name in text], hand, rng)


def written(letters: Sequence[Letter], hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """The strokes of letters from left to right, each in its own form."""
    strokes: list[Stroke] = []
    top = top_of(hand)
    gap = hand.gap + (reach(hand) if hand.letterform == "serif" else 0.0)  # else neighbours' serifs become one bar
    x = 0.0
    for letter in letters:
        width = {"i": 0.0, "v": 0.5, "x": 0.52}[letter.name] * hand.squeeze * (1 - 0.45 * top) * rng.uniform(0.85, 1.15)
        width += hand.pen if letter.name != "i" else 0.0
        width = width if letter.width is None else letter.width
        strokes += letter_strokes(letter, x, width, hand, rng)
        usual = gap * hand.squeeze * rng.uniform(0.8, 1.25)
        x += width + (usual if letter.gap is None else letter.gap)
    if hand.letterform == "bars":
        right = max(float(stroke.points[:, 0].max()) for stroke in strokes)
        for y in (0.0, 1.0):
            ends = np.array([[-hand.overshoot, y], [right + hand.overshoot, y]])
            strokes.append(Stroke(line(ends[0], ends[1], hand, rng)))
    return strokes


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
