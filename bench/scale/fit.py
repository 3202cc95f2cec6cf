r"""How seconds and memory grow: exponents of power laws.

A cost $c(n) = a n^e$ has $\log c = \log a + e \log n$. The exponent of a stage is the larger of the least-squares slope
over all sizes and the slope between the two largest: what every process costs at its start flattens the former, the
latter is of two measurements alone.
"""

import math
from collections.abc import Mapping

import numpy as np


def slope(costs: Mapping[int, float]) -> float:
    """Least-squares slope of log cost over log size; NaN of fewer than two sizes.

    Args:
        costs: by size, above 0.
    """
    if len(costs) < 2:
        return math.nan
    x, y = np.log(list(costs)), np.log(list(costs.values()))
    x = x - x.mean()
    return float(x @ y / (x @ x))


def exponent(costs: Mapping[int, float]) -> float:
    """The exponent of a cost, as above.

    Args:
        costs: by size, above 0.
    """
    last = sorted(costs)[-2:]
    return max(slope(costs), slope({size: costs[size] for size in last}))


def extrapolated(costs: Mapping[int, float], size: int) -> float:
    """The cost at a larger size: the larger of the power law's and that of the line through the two largest sizes.

    The line keeps what a process costs at its start apart, which hides in the exponent what small sizes cost beside it.
    A cost that was measured is itself, one that falls, or of one size alone, stays as it is.
    """
    if size in costs:
        return costs[size]
    *_, largest = sizes = sorted(costs)
    if len(sizes) < 2:
        return costs[largest]
    before = sizes[-2]
    line = costs[largest] + (costs[largest] - costs[before]) / (largest - before) * (size - largest)
    return float(max(costs[largest], line, costs[largest] * (size / largest) ** exponent(costs)))
