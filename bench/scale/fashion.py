"""Fashion-MNIST as a source: 70,000 grey images of 28 pixels, 7,000 of each of ten classes, with known faults.

The files are those of Debian's package dataset-fashion-mnist. Faults are planted in train; the label book and the test
images stay as they were published.
"""

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.junk import SMALL_JUNK, Pixels
from bench.plant import Row, Shares, plant_into
from winnow.dataset.images import encode_png

FOLDER = Path("/usr/share/datasets/fashion-mnist")
PREFIXES = {"train": "train", "test": "t10k"}  # of the files of the two published splits
CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
)
LABEL_BOOK = 5  # images a class
SHARES = Shares(wrong=0.04, junk=0.03, test=0.0)

Published = tuple[Pixels, npt.NDArray[np.uint8]]  # (N, H, W) images, (N,) labels


def published(split: str, folder: Path = FOLDER) -> Published:
    """The images and labels of one published split.

    Args:
        split: train or test.
        folder: of the four files.

    Raises:
        SystemExit: a file is missing.
    """
    images, labels = (folder / f"{PREFIXES[split]}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    for file in (images, labels):
        if not file.exists():
            raise SystemExit(f"{file}: missing; install Debian's package dataset-fashion-mnist, or name its folder")
    return idx_array(images), idx_array(labels)


def idx_array(file: Path) -> npt.NDArray[np.uint8]:
    """The bytes of an idx file, in its own shape: two zeros, the type 8, the number of axes, their lengths, the values.

    Raises:
        ValueError: it holds no unsigned bytes, or more or fewer of them than its shape says.
    """
    with gzip.open(file) as opened:
        content = opened.read()
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{file}: must be an idx file of unsigned bytes, begins with {content[:4]!r}")
    shape = np.frombuffer(content, ">i4", count=content[3], offset=4).tolist()
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if values.size != np.prod(shape):
        raise ValueError(f"{file}: must hold {shape} values, got {values.size}")
    return values.reshape(shape)


def write_fashion(out: Path, *, images: int, seed: int = 0, folder: Path = FOLDER) -> list[Row]:
    """Write a zip with the splits train, label_book and test, and give the rows of its truth.csv.

    A subset has a class's share of each published split; a smaller one is part of a larger one.

    Args:
        out: the zip.
        images: in all splits together.
        seed: of the subset, the label book and the faults.
        folder: of the published files.

    Raises:
        ValueError: more images than there are, or too few for every split to have one of every class.
    """
    sets = {split: published(split, folder) for split in PREFIXES}
    places = split_up({split: labels for split, (_, labels) in sets.items()}, images, seed)

    def read(name: str) -> bytes:
        source, row = places[name]
        return encode_png(sets[source][0][row][..., None])

    return plant_into(out, list(places), read, SMALL_JUNK, shares=SHARES, seed=seed)


def split_up(labels: dict[str, npt.NDArray[np.uint8]], images: int, seed: int) -> dict[str, tuple[str, int]]:
    """By name in the source, the published split and the row of an image.

    Args:
        labels: of the published splits train and test.
        images: of the source.
        seed: of the order from which subset and label book are taken.
    """
    whole = sum(map(len, labels.values()))
    if images > whole:
        raise ValueError(f"images must be at most {whole}, got {images}")
    places: dict[str, tuple[str, int]] = {}
    for split, found in labels.items():
        rng = np.random.default_rng([seed, len(split)])
        for number, label in enumerate(CLASSES):
            rows = rng.permutation(np.flatnonzero(found == number))
            rows = rows[: round(images / whole * len(rows))]
            book = rows[:LABEL_BOOK] if split == "train" else rows[:0]
            if len(rows) <= len(book):
                raise ValueError(f"{images} images give {split} too few of {label}: {len(rows)}")
            places |= _named("label_book", label, split, book)
            places |= _named(split, label, split, rows[len(book) :])
    return places


def _named(split: str, label: str, source: str, rows: npt.NDArray[np.int64]) -> dict[str, tuple[str, int]]:
    return {f"{split}/{label}/{row:05d}.png": (source, int(row)) for row in rows}
