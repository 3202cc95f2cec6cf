"""The mean effect of parts that lie in files."""

from pathlib import Path

import numpy as np

from winnow.influence.columns import book_columns
from winnow.influence.parts import Part, mean_effect

MEMBERS = np.array([[True, True, False, False, True], [True, False, True, False, False]])


def part(folder: Path, run: int, rows: range, columns: range, values: list[list[float]]) -> Part:
    path = folder / f"{run}-{rows.start}-{columns.start}.npy"
    np.save(path, np.array(values))
    return Part(run, rows, columns, path)


def test_the_mean_runs_over_the_trajectories_that_trained_on_a_sample(tmp_path: Path) -> None:
    columns = book_columns(["p", "q"], np.array([0, 1]), ["x", "y"], by_class=False)
    both, first, last = range(2), range(1), range(1, 2)
    parts = [
        part(tmp_path, 0, range(2), both, [[1.0, 10.0], [2.0, 20.0]]),
        part(tmp_path, 0, range(2, 3), both, [[7.0, 70.0]]),
        part(tmp_path, 1, range(2), first, [[3.0], [5.0]]),
        part(tmp_path, 1, range(2), last, [[30.0], [50.0]]),
    ]
    effect = mean_effect(parts, MEMBERS, columns)
    assert effect.tolist() == [[2.0, 20.0], [2.0, 20.0], [5.0, 50.0], [0.0, 0.0], [7.0, 70.0]]
    assert effect.dtype == np.float64
