"""Slow, obvious versions of the interval's ingredients."""

import numpy as np


def anova(values: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of rows, columns and rest in a two-way table with one value a cell, summed cell by cell."""
    rows, columns = values.shape
    mean = sum(values.flatten()) / values.size
    of_row = [sum(values[s]) / columns for s in range(rows)]
    of_column = [sum(values[:, n]) / rows for n in range(columns)]
    between_rows = sum(columns * (m - mean) ** 2 for m in of_row)
    between_columns = sum(rows * (m - mean) ** 2 for m in of_column)
    rest = sum((values[s, n] - of_row[s] - of_column[n] + mean) ** 2 for s in range(rows) for n in range(columns))
    return between_rows / (rows - 1), between_columns / (columns - 1), rest / ((rows - 1) * (columns - 1))
