"""Tables, lines and cells of the pages that are generated from metrics."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from winnow.evaluation.comparison_table import interval_text

Figures = Mapping[str, Any]

WIDTH = 120


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:]])


def wrapped(text: str) -> str:
    """The text in lines of the page's width."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def interval_cell(figures: Figures | None, sign: str = "") -> str:
    """A mean with its interval; empty where there is none."""
    return interval_text(figures, sign) if figures else ""


def amount(value: float | Sequence[float], form: str = ",.0f") -> str:
    """A figure; one that was measured by repeat as its mean with the least and the greatest.

    Args:
        value: the figure, or one a repeat.
        form: as ``format`` takes it.
    """
    if not isinstance(value, Sequence):
        return f"{value:{form}}"
    mean, low, high = (f"{one:{form}}" for one in (sum(value) / len(value), min(value), max(value)))
    return mean if low == high else f"{mean} ({low} to {high})"
