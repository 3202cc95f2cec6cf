"""The drawn source: which image is drawn by whom, under which label it is filed, and what is wrong with it.

Each image has its own generator, seeded by split, folder and number: changing the counts of one split changes no
drawing of another, and within a split only where faults fall.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from winnow.pictures.contact_sheet import contact_sheet
from winnow.synthetic.junk import junk_strokes
from winnow.synthetic.numerals import CLASSES, Hand, canvas_shape, hands, ink_of, numeral_strokes, paper_of, place
from winnow.synthetic.pen import Pixels, Stroke, scan, write

# Which numerals are confused: by the label that an image is filed under, the numerals that it may really show.
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


STREAMS = {"hands": 0, "faults": 1, "train": 2, "label_book": 3, "test": 4}


ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold; the current time would make equal sources differ


SHEET_COLUMNS = 16


SHEET_TILE = 68


@dataclass(frozen=True)
class Drawing:
    """One image of the source."""

    split: str
    label: str  # the folder
    number: int  # in the folder
    truth: str  # the class drawn; empty for junk

    @property
    def name(self) -> str:
        """Path inside the source; it does not reveal the truth."""
        return f"{self.split}/{self.label}/{self.number:04d}.png"


@dataclass(frozen=True)
class Pool:
    """Who draws a split."""

    writers: list[Hand]
    inverted: float  # share of white-on-black images, in [0, 1]


def writer_pool(seed: int, split: str, count: int, *, spread: float) -> list[Hand]:
    """The writers of a split; no two splits share one."""
    return hands(np.random.default_rng([seed, STREAMS["hands"], STREAMS[split]]), count, spread=spread)


def plan_clean(split: str, counts: Sequence[int]) -> list[Drawing]:
    """Every class's images, each of the class of its folder."""
    return [
        Drawing(split, label, number, truth=label)
        for label, count in zip(CLASSES, counts, strict=True)
        for number in range(count)
    ]


def plan_faulty(split: str, counts: Sequence[int], *, wrong_labels: float, junk: float, seed: int) -> list[Drawing]:
    """The same with faults in random places, so that neither name nor place reveals them.

    Args:
        split: the split.
        counts: images per class as filed, faults included.
        wrong_labels: share of all images that show another numeral than their folder says.
        junk: share of all images that show none of the ten numerals.
        seed: the source's.
    """
    drawings = plan_clean(split, counts)
    rng = np.random.default_rng([seed, STREAMS["faults"]])
    places = rng.permutation(len(drawings))
    n_wrong, n_junk = round(wrong_labels * len(drawings)), round(junk * len(drawings))
    truths = {int(place): _mistaken(drawings[place].label, rng) for place in places[:n_wrong]}
    truths |= {int(place): "" for place in places[n_wrong : n_wrong + n_junk]}
    return [
        Drawing(split, drawing.label, drawing.number, truths.get(place, drawing.truth))
        for place, drawing in enumerate(drawings)
    ]


def _mistaken(label: str, rng: np.random.Generator) -> str:
    """A numeral that someone filed under ``label`` though it is another."""
    likely = CONFUSABLE[label] if rng.random() < CONFUSED else tuple(name for name in CLASSES if name != label)
    return likely[int(rng.integers(len(likely)))]


def draw(drawing: Drawing, pool: Pool, seed: int) -> Pixels:
    """(H, W) uint8 pixels of one drawing."""
    rng = np.random.default_rng([seed, STREAMS[drawing.split], CLASSES.index(drawing.label), drawing.number])
    hand = pool.writers[int(rng.integers(len(pool.writers)))]
    inverted = bool(rng.random() < pool.inverted)
    shape = canvas_shape(rng)
    strokes = numeral_strokes(drawing.truth, hand, rng) if drawing.truth else junk_strokes(hand, rng)
    placed = place(strokes, shape, hand, rng)
    ink = ink_of(hand, placed, shape, rng)
    if rng.random() < hand.cropped:
        placed += _neighbour(shape, rng)
    return scan(write(placed, shape, ink, rng), ink, paper_of(hand, rng, inverted=inverted), rng)


def _neighbour(shape: tuple[int, int], rng: np.random.Generator) -> list[Stroke]:
    """What a careless crop left of the next numeral: a scrap at the border."""
    height, width = shape
    x = rng.choice([rng.uniform(-1, 4), width - rng.uniform(-1, 4)])
    y = rng.uniform(0, height)
    scrap = np.array([[x, y], [x + rng.normal(0, 4), y + rng.normal(0, 0.2) * height]])
    return [Stroke(scrap, weight=0.9)]


# --- files --------------------------------------------------------------------------------------------------------


def png_bytes(pixels: Pixels) -> bytes:
    """One image as a PNG."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, format="PNG")
    return sink.getvalue()


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """The files as a zip whose bytes depend on nothing else."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name], zipfile.ZIP_STORED)
    return sink.getvalue()


def source_sheet(drawings: Sequence[Drawing], images: Mapping[str, Pixels]) -> bytes:
    """PNG for people: one row per class, train left and test right; then wrong labels; then junk."""
    clean = {
        (split, label): [d for d in drawings if (d.split, d.label, d.truth) == (split, label, label)]
        for label in CLASSES
        for split in ("train", "test")
    }
    half = max(1, min(SHEET_COLUMNS // 2, *map(len, clean.values())))
    chosen = [(d, f"{split} {label}", "grey") for (split, label), group in clean.items() for d in group[:half]]
    wrong = [d for d in drawings if d.truth not in ("", d.label)]
    chosen += [(d, f"{d.truth} in {d.label}", "red") for d in _spaced(wrong, 4 * half)]
    junk = [d for d in drawings if not d.truth]
    chosen += [(d, f"junk in {d.label}", "orange") for d in _spaced(junk, 6 * half)]
    return contact_sheet(
        [images[drawing.name] for drawing, _, _ in chosen],
        [caption for _, caption, _ in chosen],
        columns=2 * half,
        tile=SHEET_TILE,
        frames=[frame for _, _, frame in chosen],
    )


def _spaced(drawings: Sequence[Drawing], count: int) -> list[Drawing]:
    """At most ``count`` of them, evenly from first to last."""
    count = min(count, len(drawings))
    return [drawings[k * len(drawings) // count] for k in range(count)]
