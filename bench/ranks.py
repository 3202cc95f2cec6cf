"""Rank correlation of two tables, column by column."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]


def rank_correlation(a: Array, b: Array) -> Array:
    r"""Spearman's correlation of each column of one table with the same column of another.

    $$ \rho_j = \frac{\mathrm{cov}(R(a_{\cdot j}), R(b_{\cdot j}))}{\sigma(R(a_{\cdot j})) \sigma(R(b_{\cdot j}))} $$

    R ranks a column from 1; equal values share the mean of their ranks. Source: Spearman (1904).

    Args:
        a: (S, M), at least two rows.
        b: (S, M).

    Returns:
        (M,) in [-1, 1].

    Raises:
        ValueError: shapes differ, or a column is constant and has no ranks.
    """
    if a.shape != b.shape or a.ndim != 2 or len(a) < 2:
        raise ValueError(f"rank correlation needs two equal tables of at least 2 rows, got {a.shape} and {b.shape}")
    ranks = [rankdata(table, axis=0) for table in (a, b)]
    left, right = (rank - rank.mean(axis=0) for rank in ranks)
    norm = np.sqrt((left**2).sum(axis=0) * (right**2).sum(axis=0))
    if not norm.all():
        raise ValueError(f"column {int(np.argmin(norm))} is constant: it has no ranks to compare")
    correlation: Array = (left * right).sum(axis=0) / norm
    return correlation
