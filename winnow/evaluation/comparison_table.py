"""The table that ends a run, as text.

Nothing heavy is imported, so that a run with nothing to do can show its result at once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winnow.evaluation.contrasts import shown

HEADER = ("arm", "training images", "accuracy [95 % interval]", "error reduction", "gain on the row above")
PARTS = ("part of the method", "gain [95 % interval]", "reading")


NOTHING = "–"


@dataclass(frozen=True)
class Parts:
    """What each part of the method is worth, and the arms that only tell that."""

    contrasts: Mapping[str, Any]  # metrics/contrasts.json
    margin: float  # param compare.margin
    controls: Collection[str]  # names of compare.controls


def comparison_text(comparison: Mapping[str, Any], refinement: Mapping[str, Any], parts: Parts) -> str:
    """The table with the lines below it, and that of the contrasts where there are any.

    Args:
        comparison: metrics/comparison.json: by arm, in the table's order.
        refinement: metrics/refinement.json.
        parts: what each part of the method is worth.
    """
    rows = [HEADER, *(_row(arm, figures, control=arm in parts.controls) for arm, figures in comparison.items())]
    lines = [_aligned(rows), _basis(comparison), *_verdicts(refinement), *_overridden(refinement), *_truth(refinement)]
    return "\n".join([*lines, *contrast_lines(parts.contrasts, parts.margin)])


def contrast_lines(contrasts: Mapping[str, Any], margin: float) -> list[str]:
    """The table of what each part of the method is worth, below an empty line; nothing where there are no contrasts.

    Args:
        contrasts: as metrics/contrasts.json has them.
        margin: see ``shown``.
    """
    rows = [(part, interval_text(row["gain"], "+"), shown(row["gain"], margin)) for part, row in contrasts.items()]
    return ["", _aligned([PARTS, *rows])] if rows else []


def _row(arm: str, figures: Mapping[str, Any], *, control: bool) -> tuple[str, ...]:
    return (
        arm,
        f"{figures['n_train']:,}",
        interval_text(figures["accuracy"]),
        interval_text(figures.get("error_reduction")),
        interval_text(None if control else figures.get("gain"), sign="+"),  # the row above is no step before it
    )


def interval_text(figures: Mapping[str, float] | None, sign: str = "") -> str:
    """A mean with its interval, to three decimals; a dash where there are no figures."""
    if figures is None:
        return NOTHING
    mean, low, high = (f"{figures[key]:{sign}.3f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) if index else cell.ljust(width) for index, (cell, width) in enumerate(pairs))
        for pairs in (zip(row, widths, strict=True) for row in rows)
    ]
    return "\n".join([lines[0].rstrip(), "─" * len(lines[0]), *(line.rstrip() for line in lines[1:])])


def _basis(comparison: Mapping[str, Any]) -> str:
    profiles = " and ".join(dict.fromkeys(figures["profile"] for figures in comparison.values()))
    first = next(iter(comparison.values()))
    seeds, images = first["accuracy"]["seeds"], first["n_test"]
    over = f"{seeds} seeds and {images:,} test images" if seeds > 1 else f"{images:,} test images; one seed"
    return f"Profile {profiles}; intervals over {over}."


def _verdicts(refinement: Mapping[str, Any]) -> list[str]:
    stages = [
        f"{round_name} {stage} kept {counts['keep']:,}, dropped {counts['drop']:,}, relabelled {counts['relabel']:,}"
        for round_name, by_stage in refinement["verdicts"].items()
        for stage, counts in by_stage.items()
    ]
    return [f"Verdicts: {'; '.join(stages)}."] if stages else []


def _overridden(refinement: Mapping[str, Any]) -> list[str]:
    counts = refinement.get("overridden") or {}
    if not any(counts.values()):
        return []
    when = refinement.get("decisions", {})
    when_text = (
        f" ({when['before']:,} before the first round, {when['at_end']:,} at the end)" if any(when.values()) else ""
    )
    words = f"{counts['keep']:,} kept, {counts['drop']:,} dropped, {counts['relabel']:,} relabelled"
    return [f"Overridden by people: {words}{when_text}."]


def _truth(refinement: Mapping[str, Any]) -> list[str]:
    if "precision" not in refinement:
        return []
    words = [f"{key} {refinement[key]:.3f}" for key in ("precision", "recall") if key in refinement]
    if "f1" in refinement:
        words.append(f"F1 {refinement['f1']:.3f}")
    if "relabels_right" in refinement:
        words.append(f"relabels right {refinement['relabels_right']:.3f}")
    if "ranking_auc" in refinement:
        words.append(f"ranking AUC {refinement['ranking_auc']:.3f}")
    touched, faults = refinement["touched"], refinement["faults"]
    return [f"Against the truth: {', '.join(words)} ({touched:,} dropped or relabelled, {faults:,} faults)."]
