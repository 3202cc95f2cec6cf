"""Figures of the report: accuracies and gains with intervals, images a class before and after, and outcome."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import class_names, label_indices, only_splits
from winnow.pipeline.spreadsheet import disarmed
from winnow.verdicts.states import States, as_numpy

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
    classes = class_names(prepared)
    before, now = (only_splits(samples, "train", "val") for samples in (prepared, refined))
    is_source, labels = as_numpy(pc.is_null(now["parent"])), label_indices(now)
    counts = [
        np.bincount(indices, minlength=len(classes)).tolist()
        for indices in (label_indices(before), labels[is_source], labels[~is_source])
    ]
    return [ClassCount(label, *row) for label, *row in zip(classes, *counts, strict=True)]


def balance_csv(balance: Sequence[ClassCount]) -> str:
    """The counts of every class as CSV, which a spreadsheet can open."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(("class", "delivered", "refined", "copies"))
    writer.writerows((disarmed(row.label), row.before, row.source + row.copies, row.copies) for row in balance)
    return sink.getvalue()


def outcome(images: States, refined: pa.Table) -> Outcome:
    """The same summed up.

    Args:
        images: every train and val image delivered.
        refined: samples as they are now.
    """
    now = only_splits(refined, "train", "val")
    return Outcome(
        delivered=len(images.ids),
        dropped=int(images.dropped.sum()),
        relabelled=int(images.relabelled.sum()),
        refined=now.num_rows,
        copies=now.num_rows - now["parent"].null_count,
    )
