"""One contact sheet of what changed between two states of a dataset, small enough to be sent about.

A pair a change: the image, and beside it one of the label book under the label that it has now; of a dropped one, under
the label that it had. So a reader sees what it is held to be and what it looks like.
"""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from winnow.history.changes import Change, Row
from winnow.pictures.contact_sheet import contact_sheet
from winnow.pipeline.messages import UserError, natural_order, plain

PAIRS = 40  # at most
LIMIT = 500_000  # bytes
TILES = (96, 72, 56, 40)  # pixels of a picture's longer side: the first with which the sheet is small enough
ACROSS = 4  # pairs a row
QUALITIES = (85, 70, 50)  # of a JPEG
FRAMES = {"dropped": "firebrick", "added": "seagreen", "relabelled": "darkorange", "moved": "steelblue"}
LEGEND = (
    "Frames: red dropped, green added, orange relabelled, blue moved to another split; beside each a label-book image."
)
FORMATS = (".png", ".jpg", ".jpeg")

Pixels = npt.NDArray[np.uint8]


def beside(changes: Sequence[tuple[str, Change]], rows: Sequence[Row]) -> list[Row | None]:
    """For each change an image of the label book under its label, one after another; None where there is none.

    Args:
        changes: with their kinds.
        rows: of the newer samples table.
    """
    book: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: natural_order(row["name"])):
        if row["split"] == "label_book":
            book.setdefault(row["label"], []).append(row)
    taken, found = Counter[str](), list[Row | None]()
    for _, change in changes:
        label = change.label_after or change.label_before or ""
        images = book.get(label, [])
        found.append(images[taken[label] % len(images)] if images else None)
        taken[label] += 1
    return found


def change_sheet(
    changes: Sequence[tuple[str, Change]],
    references: Sequence[Row | None],
    pictures: Mapping[str, Pixels],
    *,
    suffix: str,
) -> bytes:
    """A PNG or JPEG of at most ``LIMIT`` bytes.

    Args:
        changes: with their kinds, at most ``PAIRS``.
        references: the image beside each.
        pictures: pixels by id; what is not in it is left white.
        suffix: of the file's name.
    """
    blank = np.full((1, 1, 1), 255, np.uint8)
    images, captions, frames = list[Pixels](), list[str](), list[str]()
    for (kind, change), reference in zip(changes, references, strict=True):
        images += [pictures.get(change.id, blank), pictures.get(reference["id"], blank) if reference else blank]
        captions += [_caption(kind, change), plain(reference["label"]) if reference else ""]
        frames += [FRAMES[kind], "lightgrey"]
    content = b""
    for tile in TILES:
        png = contact_sheet(images, captions, columns=2 * min(ACROSS, max(1, len(changes))), tile=tile, frames=frames)
        for content in [png] if suffix == ".png" else map(_jpeg, [png] * len(QUALITIES), QUALITIES):
            if len(content) <= LIMIT:
                return content
    return content


def check_format(path: Path) -> str:
    """The suffix of a sheet's file, in lower case.

    Raises:
        UserError: it is no PNG or JPEG.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UserError(f"--sheet must end with {', '.join(FORMATS)}, got {path}; name such a file")
    return suffix


def _caption(kind: str, change: Change) -> str:
    if kind == "moved":
        return f"{change.split_before} > {change.split_after}"
    return " > ".join(plain(label) for label in (change.label_before, change.label_after) if label is not None)


def _jpeg(png: bytes, quality: int) -> bytes:
    sink = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(sink, format="JPEG", quality=quality, optimize=True)
    return sink.getvalue()
