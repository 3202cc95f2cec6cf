"""Removal effects of several runs, which workers have left in files part by part, as one array."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.influence.columns import BookColumns

Effects = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Part:
    """Effects of some samples of one run on some columns."""

    run: int
    rows: range  # of the run's members
    columns: range
    path: Path  # .npy, (rows, columns)


def mean_effect(parts: Iterable[Part], members: npt.NDArray[np.bool_], columns: BookColumns) -> Effects:
    """(N, columns) mean over the runs that were trained on a sample; 0 where none was.

    Args:
        parts: that cover every run's members and every column once; those of one run before those of the next.
        members: (runs, N) the samples that each run was trained on.
        columns: of the label book.

    Memory O(N columns), and one part.
    """
    effect = np.zeros((members.shape[1], len(columns)), columns.dtype)  # the largest array there is: summed in place
    of_run = [np.flatnonzero(run) for run in members]
    for part in parts:
        rows = of_run[part.run][part.rows.start : part.rows.stop]
        effect[rows, part.columns.start : part.columns.stop] += np.load(part.path, mmap_mode="r")
    effect /= np.maximum(members.sum(axis=0), 1)[:, None]
    return effect
