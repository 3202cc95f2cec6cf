"""The drawn source: which image is drawn by whom, under which label it is filed, and what is wrong with it.

Each image has its own generator, seeded by split, folder and number: changing the counts of one split changes no
drawing of another, and within a split only where faults fall.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from winnow.synthetic.almost import almost_strokes
from winnow.synthetic.hand import Hand, hands, lone_writer
from winnow.synthetic.junk import junk_strokes
from winnow.synthetic.leaning import LEANINGS, Lean, leaning_strokes, leans_of
from winnow.synthetic.near_junk import near_junk_strokes
from winnow.synthetic.numerals import CLASSES, canvas_shape, ink_of, numeral_strokes, paper_of, place
from winnow.synthetic.pen import Pixels, Stroke, scan, write
from winnow.synthetic.setting import USUAL, Setting

# Which numerals are confused where no hand is ambiguous: by the label that an image is filed under, what it may show.
CONFUSABLE = {
    "i": ("ii", "v", "x"),
    "ii": ("i", "iii", "v"),
    "iii": ("ii", "viii"),
    "iv": ("vi", "v", "ix"),
    "v": ("x", "ii", "iv"),
    "vi": ("iv", "vii", "v"),
    "vii": ("viii", "vi"),
    "viii": ("vii", "iii"),
    "ix": ("x", "iv"),
    "x": ("ix", "v"),
}


CONFUSED = 0.85  # share of the wrong labels; the others show any other class


STRENGTHS = (0.5, 1.0)  # of the leaning attempts, shares of the setting's strength


STREAMS = {"hands": 0, "faults": 1, "train": 2, "label_book": 3, "test": 4, "setting": 5}


@dataclass(frozen=True)
class Drawing:
    """One image of the source."""

    split: str
    label: str  # the folder
    number: int  # in the folder
    truth: str  # the class drawn; empty for junk
    confused: bool = False  # the label is wrong, and what the image shows leans towards it

    @property
    def name(self) -> str:
        """Path inside the source; it does not reveal the truth."""
        return f"{self.split}/{self.label}/{self.number:04d}.png"


@dataclass(frozen=True)
class Pool:
    """Who draws a split."""

    writers: list[Hand]
    inverted: float  # share of white-on-black images, in [0, 1]
    ambiguous: frozenset[int] = frozenset()  # which of the writers are ambiguous, by index
    setting: Setting = USUAL
    spread: float = 0.0  # of the writers of one image

    @classmethod
    def of(cls, split: str, writers: int, *, seed: int, spread: float, inverted: float, setting: Setting) -> "Pool":
        """So many writers of a split, whose geometry differs by ``spread``."""
        ambiguous = ambiguous_writers(seed, split, writers, setting.ambiguous_hands)
        return cls(writer_pool(seed, split, writers, spread=spread), inverted, ambiguous, setting, spread)


def writer_pool(seed: int, split: str, count: int, *, spread: float) -> list[Hand]:
    """The writers of a split; no two splits share one."""
    return hands(np.random.default_rng([seed, STREAMS["hands"], STREAMS[split]]), count, spread=spread)


def ambiguous_writers(seed: int, split: str, count: int, share: float) -> frozenset[int]:
    """Which of a split's writers are ambiguous, by index."""
    rng = np.random.default_rng([seed, STREAMS["setting"], STREAMS[split]])
    return frozenset(map(int, rng.permutation(count)[: round(share * count)]))


def plan_clean(split: str, counts: Sequence[int]) -> list[Drawing]:
    """Every class's images, each of the class of its folder."""
    return [
        Drawing(split, label, number, truth=label)
        for label, count in zip(CLASSES, counts, strict=True)
        for number in range(count)
    ]


def plan_faulty(
    split: str, counts: Sequence[int], *, wrong_labels: float, junk: float, confused: float, seed: int
) -> list[Drawing]:
    """The same with faults in random places, so that neither name nor place reveals them.

    Args:
        split: the split.
        counts: images per class as filed, faults included.
        wrong_labels: share of all images that show another numeral than their folder says.
        junk: share of all images that show none of the ten numerals.
        confused: share of the wrong labels by the confusions of `LEANINGS`.
        seed: the source's.
    """
    drawings = plan_clean(split, counts)
    rng = np.random.default_rng([seed, STREAMS["faults"]])
    places = [int(place) for place in rng.permutation(len(drawings))]
    n_wrong, n_junk = round(wrong_labels * len(drawings)), round(junk * len(drawings))
    wrong, n_confused = places[:n_wrong], round(confused * n_wrong)
    truths = {place: _confused(drawings[place].label, rng) for place in wrong[:n_confused]}
    truths |= {place: _mistaken(drawings[place].label, rng) for place in wrong[n_confused:]}
    truths |= dict.fromkeys(places[n_wrong : n_wrong + n_junk], "")
    leaning = set(wrong[:n_confused])
    return [
        replace(drawing, truth=truths.get(place, drawing.truth), confused=place in leaning)
        for place, drawing in enumerate(drawings)
    ]


def _confused(label: str, rng: np.random.Generator) -> str:
    """A numeral that may be taken for ``label``."""
    likely = list(LEANINGS[label])
    return likely[int(rng.integers(len(likely)))]


def _mistaken(label: str, rng: np.random.Generator) -> str:
    """A numeral that someone filed under ``label`` though it is another."""
    likely = CONFUSABLE[label] if rng.random() < CONFUSED else tuple(name for name in CLASSES if name != label)
    return likely[int(rng.integers(len(likely)))]


def draw(drawing: Drawing, pool: Pool, seed: int) -> Pixels:
    """(H, W) uint8 pixels of one drawing."""
    place_of = (STREAMS[drawing.split], CLASSES.index(drawing.label), drawing.number)
    rng = np.random.default_rng([seed, *place_of])
    writer = int(rng.integers(len(pool.writers)))
    chance = np.random.default_rng([seed, STREAMS["setting"], *place_of])  # so that clear drawings stay as they are
    hand, ambiguous = pool.writers[writer], writer in pool.ambiguous
    if chance.random() < pool.setting.lone:
        hand, ambiguous = lone_writer(chance, pool.spread), bool(chance.random() < pool.setting.ambiguous_hands)
    inverted = bool(rng.random() < pool.inverted)
    shape = canvas_shape(rng)
    strokes = _strokes(drawing, hand, pool.setting, chance, rng, ambiguous=ambiguous)
    placed = place(strokes, shape, hand, rng)
    ink = ink_of(hand, placed, shape, rng)
    if rng.random() < hand.cropped:
        placed += _neighbour(shape, rng)
    return scan(write(placed, shape, ink, rng), ink, paper_of(hand, rng, inverted=inverted), rng)


def _strokes(
    drawing: Drawing,
    hand: Hand,
    setting: Setting,
    chance: np.random.Generator,
    rng: np.random.Generator,
    *,
    ambiguous: bool,
) -> list[Stroke]:
    """What the drawing shows; ``chance`` decides whether it is ambiguous."""
    if not drawing.truth:
        return _junk(drawing.label, hand, setting, chance, rng)
    leans, towards = leans_of(drawing.truth), ""
    if drawing.confused:
        towards = drawing.label
    elif ambiguous and chance.random() < setting.leaning:
        towards = leans[int(chance.integers(len(leans)))]
    if not towards:
        return numeral_strokes(drawing.truth, hand, rng)
    lean = Lean(towards, strength=setting.strength * chance.uniform(*STRENGTHS))
    return leaning_strokes(drawing.truth, lean, hand, rng)


def _junk(
    label: str, hand: Hand, setting: Setting, chance: np.random.Generator, rng: np.random.Generator
) -> list[Stroke]:
    """Something that is no numeral; ``chance`` decides how nearly it is one."""
    if chance.random() >= setting.near_junk:
        return junk_strokes(hand, rng)
    return almost_strokes(label, hand, rng) if chance.random() < setting.filed else near_junk_strokes(hand, rng)


def _neighbour(shape: tuple[int, int], rng: np.random.Generator) -> list[Stroke]:
    """What a careless crop left of the next numeral: a scrap at the border."""
    height, width = shape
    x = rng.choice([rng.uniform(-1, 4), width - rng.uniform(-1, 4)])
    y = rng.uniform(0, height)
    scrap = np.array([[x, y], [x + rng.normal(0, 4), y + rng.normal(0, 0.2) * height]])
    return [Stroke(scrap, weight=0.9)]
