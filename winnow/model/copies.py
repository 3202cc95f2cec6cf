"""Features of augmented copies, which their dataset carries as it carries their pictures."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.dataset.arrays import ArrayStore, Rows, write_index, write_rows
from winnow.dataset.images import decode_stored
from winnow.dataset.passed_on import COPIES
from winnow.dataset.streaming import every_image
from winnow.engine.folders import folder_for_all
from winnow.model.extraction import Extraction, extract_features

Pixels = npt.NDArray[np.uint8]

PART = 256  # copies in an array


@contextmanager
def copy_features(extraction: Extraction, copies: Iterable[tuple[str, Pixels]]) -> Iterator[ArrayStore]:
    """(D,) float16 features of each copy, by id; they lie in files until the block ends.

    Args:
        extraction: of the model.
        copies: id, each once, and (S, S, C) pixels, taken a few at a time.
    """
    with folder_for_all() as place:
        squares, features = place / "pixels", place / "features"
        write_rows(squares, _parts(copies))
        found = extract_features(extraction, [squares], ArrayStore(squares).ids, features)
        write_index(features, [(one, name, row) for part, name in found.parts for row, one in enumerate(part)])
        yield ArrayStore(features)


def add_copy_features(extraction: Extraction, stage: str, copies: Mapping[Path, Sequence[str]]) -> None:
    """Put the features of a stage's copies into the datasets that hold their pictures.

    A copy that several datasets share is computed once. Pictures are read a few at a time.

    Args:
        extraction: of the model.
        stage: that made the copies.
        copies: by folder of the dataset, the ids of its copies, in an order that is the same in every run.
    """
    with copy_features(extraction, _pictures(copies)) as features:
        for dataset, ids in copies.items():
            parts = (ids[start : start + PART] for start in range(0, len(ids), PART))
            rows = ((part, np.stack([features.row(one) for one in part])) for part in parts)
            write_rows(dataset / COPIES / stage, rows)


def _pictures(copies: Mapping[Path, Sequence[str]]) -> Iterator[tuple[str, Pixels]]:
    done: set[str] = set()
    for dataset, ids in copies.items():
        new = set(ids) - done
        done |= new
        for identifier, content in every_image(dataset, new):
            yield identifier, decode_stored(content, dataset, identifier)


def _parts(copies: Iterable[tuple[str, Pixels]]) -> Iterator[Rows]:
    """Copies of one shape in parts: few files, whatever the order of grey and coloured ones."""
    waiting: dict[tuple[int, ...], tuple[list[str], list[Pixels]]] = {}
    for one, pixels in copies:
        names, held = waiting.setdefault(pixels.shape, ([], []))
        names.append(one)
        held.append(pixels)
        if len(held) == PART:
            yield names, np.stack(held)
            del waiting[pixels.shape]
    yield from ((names, np.stack(held)) for names, held in waiting.values())
