"""The table that ends a run, as text.

``python -m winnow.evaluation.comparison_table COMPARISON REFINEMENT CONTRASTS MARGIN`` prints it again: three JSON
files, and param compare.margin.
Nothing heavy is imported, so that a run with nothing to do can show its result at once.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from winnow.evaluation.contrasts import shown
from winnow.pipeline.json_files import read_json

HEADER = ("arm", "training images", "accuracy [95 % interval]", "error reduction", "gain on the row above")
PARTS = ("part of the method", "gain [95 % interval]", "reading")


NOTHING = "–"


def comparison_text(
    comparison: Mapping[str, Any], refinement: Mapping[str, Any], contrasts: Mapping[str, Any], margin: float
) -> str:
    """The table with the lines below it, and that of the contrasts where there are any.

    Args:
        comparison: metrics/comparison.json: by arm, in the table's order.
        refinement: metrics/refinement.json.
        contrasts: metrics/contrasts.json.
        margin: param ``compare.margin``.
    """
    rows = [HEADER, *(_row(arm, figures) for arm, figures in comparison.items())]
    lines = [_aligned(rows), _basis(comparison), *_verdicts(refinement), *_overridden(refinement), *_truth(refinement)]
    return "\n".join([*lines, *contrast_lines(contrasts, margin)])


def contrast_lines(contrasts: Mapping[str, Any], margin: float) -> list[str]:
    """The table of what each part of the method is worth, below an empty line; nothing where there are no contrasts.

    Args:
        contrasts: as metrics/contrasts.json has them.
        margin: see ``shown``.
    """
    rows = [(part, interval_text(row["gain"], "+"), shown(row["gain"], margin)) for part, row in contrasts.items()]
    return ["", _aligned([PARTS, *rows])] if rows else []


def _row(arm: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        arm,
        f"{figures['n_train']:,}",
        interval_text(figures["accuracy"]),
        interval_text(figures.get("error_reduction")),
        interval_text(figures.get("gain"), sign="+"),
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
    return [
        f"Overridden by people: {counts['keep']:,} kept, {counts['drop']:,} dropped, {counts['relabel']:,} relabelled."
    ]


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


def main(comparison: Path, refinement: Path, contrasts: Path, margin: float) -> None:
    """Print the table of three files."""
    print(comparison_text(read_json(comparison), read_json(refinement), read_json(contrasts), margin))


if __name__ == "__main__":
    compared, refined, contrasted = map(Path, sys.argv[1:4])
    main(compared, refined, contrasted, float(sys.argv[4]))
