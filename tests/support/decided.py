"""A small source on whose images people decide, and networks that contradict every label of it."""

from typing import Any

import numpy as np
import pyarrow as pa

from winnow.cleansing.neighbour_rule import Rule
from winnow.dataset.samples import samples_table
from winnow.representation.predictions import Neighbours

HEAD = "sample,action,label,by,note\n"
CLASSES = ["i", "ii", "v"]
Row = dict[str, Any]


def source(identifier: str, label: str, split: str = "train", name: str | None = None) -> Row:
    """A row of a samples table."""
    return {
        "id": identifier,
        "name": name or f"{split}/{label}/{identifier}.png",
        "split": split,
        "label": label,
        "given_label": label,
        "origin": "source",
        "parent": None,
        "pixel_hash": identifier,
        "channels": 1,
        "width": 16,
        "height": 16,
        "group": identifier,
    }


def copy(row: Row, number: int = 1) -> Row:
    """An augmented copy of a source image."""
    return row | {"id": f"{row['id']}{number}", "parent": row["id"], "origin": "random"}


ROWS = [
    *(source(identifier, "i") for identifier in ("a", "b", "c")),
    *(source(identifier, "ii") for identifier in ("d", "e", "f")),
    *(source(identifier, "v") for identifier in ("g", "h")),
    source("p", "i", "val"),
    source("q", "ii", "val"),
    source("r", "v", "val"),
    source("s", "i"),
    source("t", "ii"),
    *(source(identifier, label, "label_book") for identifier, label in (("x", "i"), ("y", "ii"), ("z", "v"))),
]
SAMPLES = samples_table(ROWS, CLASSES)

RULE = Rule(by="neighbours", k=2, agreement=0.5, relabel=1.0, far=50.0)


def silent(samples: pa.Table) -> np.ndarray:
    """What a classifier says that cannot tell."""
    return np.full((len(samples), len(CLASSES)), 1 / len(CLASSES), np.float32)


def against(samples: pa.Table) -> Neighbours:
    """Neighbours that contradict every image: two of the next class."""
    rows = samples.to_pylist()
    members = {
        label: [n for n, row in enumerate(rows) if row["label"] == label and not row["parent"]] for label in CLASSES
    }
    other = dict(zip(CLASSES, CLASSES[1:] + CLASSES[:1], strict=True))
    index = np.array([[members[other[row["label"]]][:2] for row in rows]])
    return Neighbours(index, np.full(index.shape, 0.1, np.float32))
