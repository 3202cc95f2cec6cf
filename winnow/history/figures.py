"""The figures that two revisions have in git: accuracies and gains with intervals, faults found, verdicts of the gate.

They need no data: metrics/ is committed.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winnow.history.revision import Revision
from winnow.pipeline.messages import UserError

COMPARISON, REFINEMENT, CONTRASTS = (f"metrics/{name}.json" for name in ("comparison", "refinement", "contrasts"))
SHARES = {  # of metrics/refinement.json: key and words
    "precision": "precision of the verdicts",
    "recall": "recall of the faults",
    "f1": "F1 of the verdicts",
    "relabels_right": "relabelled images that are right",
    "estimated_faults": "estimated share of faults",
    "touched_share": "share dropped or relabelled",
    "remaining_faults": "estimated share of faults left",
}
SAME = ("n_test", "profile")  # what two accuracies must have alike to be compared
ABSENT, MINUS = "–", "−"

Unlike = Sequence[tuple[str, str, str]]  # what two accuracies do not have alike, and both values, text from anywhere


@dataclass(frozen=True)
class FigureRow:
    """One figure of both revisions, as it is shown."""

    figure: str  # plain words
    arm: str  # text from anywhere: an arm, a part of the method, or nothing
    before: str
    after: str
    change: str
    differs: bool
    always: bool = False  # shown where it does not differ, too
    unlike: Unlike = ()  # why both cannot be compared


def read_figures(old: Revision, new: Revision) -> list[FigureRow]:
    """The figures of two revisions; none where neither has metrics.

    Raises:
        UserError: a file is not what the pipeline writes.
    """
    comparison, refinement, contrasts = (
        (_read(old, path), _read(new, path)) for path in (COMPARISON, REFINEMENT, CONTRASTS)
    )
    rows = [*_by_arm(comparison, "accuracy", "accuracy"), *_by_arm(comparison, "error_reduction", "error reduction")]
    rows += _by_arm(contrasts, "gain", "gain by the part")
    for key, words in SHARES.items():
        rows += _row(words, "", *(side.get(key) for side in refinement))
    return rows


def _read(revision: Revision, path: str) -> Mapping[str, Any]:
    """The figures of a file; none where the revision does not have it."""
    content = revision.committed(path)
    if content is None:
        return {}
    try:
        figures = json.loads(content)
    except (ValueError, RecursionError):
        figures = None
    if not isinstance(figures, dict):
        raise UserError(f"{revision.name}: {path} is not what the pipeline writes; run `dvc repro`, and commit it")
    return figures


def _by_arm(sides: tuple[Mapping[str, Any], Mapping[str, Any]], key: str, words: str) -> list[FigureRow]:
    """One figure of every arm that a side has it of, in the order of the newer side."""
    rows = []
    for arm in dict.fromkeys([*sides[1], *sides[0]]):
        before, after = ({} if not isinstance(side.get(arm), dict) else side[arm] for side in sides)
        unlike = [(name, str(before[name]), str(after[name])) for name in SAME if _both(before, after, name)]
        rows += _row(words, arm, before.get(key), after.get(key), unlike=unlike)
    return rows


def _both(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> bool:
    return name in before and name in after and before[name] != after[name]


def _row(figure: str, arm: str, before: object, after: object, *, unlike: Unlike = ()) -> list[FigureRow]:
    """The row, if a side has the figure."""
    shown, means = (_text(before), _text(after)), [_mean(before), _mean(after)]
    if shown == (ABSENT, ABSENT):
        return []
    known = [mean for mean in means if mean is not None]
    change = f"{known[1] - known[0]:+.3f}".replace("-", MINUS) if len(known) == 2 and not unlike else ""
    differs = before != after
    shown_change = change if differs else ""
    return [FigureRow(figure, arm, shown[0], shown[1], shown_change, differs, always=bool(arm), unlike=unlike)]


def _mean(figure: object) -> float | None:
    value = figure.get("mean") if isinstance(figure, dict) else figure
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _text(figure: object) -> str:
    """A figure with its interval, where it has one."""
    mean = _mean(figure)
    if mean is None:
        return ABSENT
    ends = [_mean(figure.get(end)) for end in ("low", "high")] if isinstance(figure, dict) else []
    span = f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends and None not in ends else ""
    return f"{mean:.3f}{span}".replace("-", MINUS)
