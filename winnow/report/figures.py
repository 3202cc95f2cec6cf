"""Figures of the report: accuracies and gains with intervals, images a class before and after, and outcome."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from winnow.dataset.samples import class_names, only_splits
from winnow.verdicts.fates import Fate

STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


TICKS = 6  # at most; more collide at the width of a phone


EDGE = 3.0  # per cent of the width left free at either side, for the outer figures


MINUS = "−"


KINDS = {"helps": "good", "harms": "bad"}  # reading of a part: class of its mark


@dataclass(frozen=True)
class Mark:
    """One interval; positions in per cent."""

    name: str
    mean: float
    low: float
    high: float
    kind: str = ""  # class of the mark


@dataclass(frozen=True)
class Part:
    """What a part of the method is worth."""

    name: str
    having: str  # arm with it
    lacking: str  # arm without it
    gain: Mapping[str, float]  # mean, low, high: accuracy of the one minus that of the other
    reading: str  # helps, harms, non-inferior by a margin, or not shown


@dataclass(frozen=True)
class IntervalFigure:
    """The axis and the marks."""

    ticks: list[tuple[float, str]]  # position in per cent, figure
    marks: list[Mark]
    base: float  # position of the dashed line


def interval_figure(comparison: Mapping[str, Any], shown: str) -> IntervalFigure:
    """The accuracies of metrics/comparison.json on an axis that just holds them.

    Args:
        comparison: by arm, ``accuracy`` {mean, low, high}; at least one arm.
        shown: the arm that stands out, if it is not the first.
    """
    figures = {arm: row["accuracy"] for arm, row in comparison.items()}
    low = max(0.0, min(row["low"] for row in figures.values()))
    high = min(1.0, max(row["high"] for row in figures.values()))
    ticks, place = _axis(low, high)
    first = next(iter(figures))
    marks = [_mark(arm, row, place, "good" if first != arm == shown else "") for arm, row in figures.items()]
    return IntervalFigure(ticks, marks, base=marks[0].mean)


def gain_figure(parts: Sequence[Part]) -> IntervalFigure | None:
    """The gains of the parts of the method on an axis that just holds them and 0; None without parts."""
    if not parts:
        return None
    low = min(0.0, *(part.gain["low"] for part in parts))
    high = max(0.0, *(part.gain["high"] for part in parts))
    ticks, place = _axis(low, high, sign="+")
    marks = [_mark(part.name, part.gain, place, KINDS.get(part.reading, "")) for part in parts]
    return IntervalFigure(ticks, marks, base=place(0.0))


def _mark(name: str, row: Mapping[str, float], place: Callable[[float], float], kind: str = "") -> Mark:
    mean, low, high = (place(row[key]) for key in ("mean", "low", "high"))
    return Mark(name, mean, low, high, kind)


def _axis(low: float, high: float, sign: str = "") -> tuple[list[tuple[float, str]], Callable[[float], float]]:
    """The ticks of an axis that holds a range, and the function that places a value on it."""
    step = next((step for step in STEPS if _cells(low, high, step)[1] < TICKS), STEPS[-1])
    first, cells = _cells(low, high, step)
    digits = 3 if step < 0.01 else 2

    def place(value: float) -> float:
        share = (value / step - first) / cells
        return round(EDGE + (100 - 2 * EDGE) * min(1.0, max(0.0, share)), 3)

    def text(number: int) -> str:
        return f"{step * number:{sign if number else ''}.{digits}f}".replace("-", MINUS)

    return [(place(step * number), text(number)) for number in range(first, first + cells + 1)], place


def _cells(low: float, high: float, step: float) -> tuple[int, int]:
    """The multiple of the step to begin with, and how many steps hold the range."""
    first = math.floor(low / step + 1e-9)
    return first, max(1, math.ceil(high / step - 1e-9) - first)


@dataclass(frozen=True)
class ClassCount:
    """Train and val images of one class."""

    label: str
    before: int
    source: int  # after: of the images delivered
    copies: int  # after: augmented ones


@dataclass(frozen=True)
class Outcome:
    """What became of the train and val images delivered; ``refined`` and ``copies`` count what there is now."""

    delivered: int
    dropped: int
    relabelled: int
    refined: int
    copies: int


def class_balance(prepared: pa.Table, refined: pa.Table) -> list[ClassCount]:
    """The counts of every class, in the order of the class indices; an emptied class stays.

    Args:
        prepared: samples as delivered.
        refined: samples as they are now.
    """
    sides = [only_splits(samples, "train", "val") for samples in (prepared, refined)]
    before = Counter(sides[0]["label"].to_pylist())
    after = Counter(zip(sides[1]["label"].to_pylist(), sides[1]["parent"].is_null().to_pylist(), strict=True))
    return [
        ClassCount(label, before[label], after[label, True], after[label, False]) for label in class_names(prepared)
    ]


def outcome(fate: Mapping[str, Fate], refined: pa.Table) -> Outcome:
    """The same summed up.

    Args:
        fate: of every train and val image delivered.
        refined: samples as they are now.
    """
    now = only_splits(refined, "train", "val")
    return Outcome(
        delivered=len(fate),
        dropped=sum(image.label is None for image in fate.values()),
        relabelled=sum(image.touched and image.label is not None for image in fate.values()),
        refined=now.num_rows,
        copies=now.num_rows - now["parent"].null_count,
    )
