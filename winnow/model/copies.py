"""Features of augmented copies, which their dataset carries as it carries their pictures."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.dataset.arrays import ArrayStore, Rows, write_rows
from winnow.dataset.images import COPIES
from winnow.model.extraction import Extraction, extract_features

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float16]

PART = 256  # copies in an array


def copy_features(extraction: Extraction, copies: Iterable[tuple[str, Pixels]]) -> dict[str, Features]:
    """(D,) features of each copy, by id.

    Args:
        extraction: of the model.
        copies: id, each once, and (S, S, C) pixels, taken a few at a time.
    """
    found: dict[str, Features] = {}
    with tempfile.TemporaryDirectory() as place:
        squares, features = Path(place, "pixels"), Path(place, "features")
        write_rows(squares, _parts(copies))
        for part, name in extract_features(extraction, [squares], list(ArrayStore(squares).places), features):
            rows = np.load(features / name)
            found |= dict(zip(part, rows, strict=True))
    return found


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


def write_copy_features(dataset: Path, stage: str, ids: Sequence[str], features: dict[str, Features]) -> None:
    """Put the features of a stage's copies into the dataset that holds them.

    Args:
        dataset: its folder.
        stage: that made the copies.
        ids: of the copies, in an order that is the same in every run.
        features: by id.
    """
    parts = (list(ids[start : start + PART]) for start in range(0, len(ids), PART))
    write_rows(dataset / COPIES / stage, ((part, np.stack([features[one] for one in part])) for part in parts))
