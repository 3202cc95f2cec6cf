"""What removal effects are measured on: each label-book image, or above a stated number of them each class of theirs.

The effect on a class is that on the mean loss of its label-book images, which is the mean of the effects on them. Its
column is named by ``CLASS_PREFIX`` and the class: the colon keeps it apart from an id, which has none, and from the
table's other columns, whatever a class is called.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]

CLASS_PREFIX = "class:"
BLOCK = 256  # columns whose gradients are held together


@dataclass(frozen=True)
class BookColumns:
    """The columns of removal effects on a label book of M images."""

    names: list[str]  # as the table of scores has them
    shown: list[str]  # id of the label-book image that stands for each, in pictures and among the evidence
    of: Indices  # (M,) column of each label-book image
    by_class: bool

    def __len__(self) -> int:
        return len(self.names)

    @property
    def dtype(self) -> type[np.floating]:
        """Of the effects: the columns of many images would take too much memory in float64."""
        return np.float32 if self.by_class else np.float64

    def counted(self, number: int | None = None) -> str:
        """So many of the columns in words, or all of them."""
        many = len(self) if number is None else number
        plural = many > 1
        if self.by_class:
            return f"{many or 'no'} class{'es' if plural else ''} of the label book"
        return f"{many or 'no'} label-book image{'s' if plural else ''}"

    @property
    def blocks(self) -> list[range]:
        """The columns in parts, each of which is measured at once."""
        return [range(start, min(start + BLOCK, len(self))) for start in range(0, len(self), BLOCK)]


def book_columns(ids: Sequence[str], labels: Indices, classes: Sequence[str], *, by_class: bool) -> BookColumns:
    """The columns of a label book.

    Args:
        ids: (M,) of its images.
        labels: (M,) class indices.
        classes: names by class index; one without label-book images has no column.
        by_class: one column a class instead of one an image.
    """
    if not by_class:
        return BookColumns(list(ids), list(ids), np.arange(len(ids)), by_class=False)
    present, first, of = np.unique(labels, return_index=True, return_inverse=True)
    names = [CLASS_PREFIX + classes[label] for label in present.tolist()]
    return BookColumns(names, [ids[row] for row in first.tolist()], of.astype(np.int64), by_class=True)
