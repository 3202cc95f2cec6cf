"""Where the marks of the interval figure lie: per cent of its width, whatever its width is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
TICKS = 6  # at most; more collide at the width of a phone
EDGE = 3.0  # per cent of the width left free at either side, for the outer figures


@dataclass(frozen=True)
class Mark:
    """One arm's interval; positions in per cent."""

    arm: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class IntervalFigure:
    """The axis and the marks."""

    ticks: list[tuple[float, str]]  # position in per cent, figure
    marks: list[Mark]


def interval_figure(comparison: Mapping[str, Any]) -> IntervalFigure:
    """The accuracies of metrics/comparison.json on an axis that just holds them.

    Args:
        comparison: by arm, ``accuracy`` {mean, low, high}; at least one arm.
    """
    figures = {arm: row["accuracy"] for arm, row in comparison.items()}
    low = max(0.0, min(row["low"] for row in figures.values()))
    high = min(1.0, max(row["high"] for row in figures.values()))
    step = next((step for step in STEPS if _cells(low, high, step)[1] < TICKS), STEPS[-1])
    first, cells = _cells(low, high, step)
    digits = 3 if step < 0.01 else 2

    def place(value: float) -> float:
        share = (value / step - first) / cells
        return round(EDGE + (100 - 2 * EDGE) * min(1.0, max(0.0, share)), 3)

    ticks = [(place(step * (first + n)), f"{step * (first + n):.{digits}f}") for n in range(cells + 1)]
    marks = [Mark(arm, *(place(row[key]) for key in ("mean", "low", "high"))) for arm, row in figures.items()]
    return IntervalFigure(ticks, marks)


def _cells(low: float, high: float, step: float) -> tuple[int, int]:
    """The multiple of the step to begin with, and how many steps hold the range."""
    first = math.floor(low / step + 1e-9)
    return first, max(1, math.ceil(high / step - 1e-9) - first)
