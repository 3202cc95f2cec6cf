"""Which input has which number: drawn from the seed and the number alone, so that each can be made again by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bench.fuzz.containers import FOLDERS, hostile_zip
from bench.fuzz.corpus import corpus
from bench.fuzz.mutation import mutate, spoilt_text
from bench.fuzz.tables import CELLS, TABLES

TOGETHER = 256  # inputs of one batch; those that are images share a source

IMAGES, CONTAINERS, TEXTS = "image", "container", "table"
TURNS = 50  # batches after which the kinds begin anew: one of containers, four of tables, the rest of images
TURN_OF = {1: CONTAINERS, 2: TEXTS, 14: TEXTS, 26: TEXTS, 38: TEXTS}
SUFFIXES = {"JPEG": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif"}  # others: the format's name
INTACT = "nothing"
UNTOUCHED = 0.02  # share of the inputs that are sound


@dataclass(frozen=True)
class Input:
    """One file, or one folder, to be read."""

    number: int
    kind: str  # image, container or table
    format: str
    way: str  # in which it was spoilt
    name: str  # inside the source, or of the file
    content: bytes  # of a folder, the seed of its files

    @property
    def is_intact(self) -> bool:
        """Whether nothing was changed."""
        return self.way == INTACT


def kind_of(batch: int) -> str:
    """What a batch consists of."""
    return TURN_OF.get(batch % TURNS, IMAGES)


def is_zipped(seed: int, batch: int) -> bool:
    """Whether a batch of images is a zip, else a folder."""
    return Random(f"{seed} source {batch}").random() < 0.75


def input_of(seed: int, number: int) -> Input:
    """The input of a number."""
    makers: dict[str, Callable[[int, Random], Input]] = {IMAGES: _image, CONTAINERS: _container, TEXTS: _table}
    return makers[kind_of(number // TOGETHER)](number, Random(f"{seed} input {number}"))


def _image(number: int, draw: Random) -> Input:
    kind = draw.choice(list(corpus()))
    content = draw.choice(corpus()[kind])
    other = draw.choice(corpus()[draw.choice([kind, *corpus()])])
    way = INTACT
    if draw.random() >= UNTOUCHED:
        way, content = mutate(content, other, draw)
    suffix = draw.choice([SUFFIXES.get(kind, f".{kind.lower()}")] * 9 + [""])
    return Input(number, IMAGES, kind, way, f"{draw.choice('ab')}/{number:07}{suffix}", content)


def _container(number: int, draw: Random) -> Input:
    if draw.random() < 0.2:
        return Input(number, CONTAINERS, "folder", draw.choice(list(FOLDERS)), "source", draw.randbytes(8))
    way, content = hostile_zip(draw)
    return Input(number, CONTAINERS, "zip", way, "source.zip", content)


def _table(number: int, draw: Random) -> Input:
    kind = draw.choice(list(TABLES))
    content = TABLES[kind].content
    way = INTACT
    if draw.random() >= UNTOUCHED:
        way, content = (
            mutate(content, content[::-1], draw) if TABLES[kind].is_binary else spoilt_text(content, CELLS, draw)
        )
    return Input(number, TEXTS, kind, way, kind, content)
