"""The table that ends a run, and how the gain of a part of the method reads in it."""

import subprocess
import sys
from pathlib import Path

from winnow.evaluation.comparison_table import Parts, comparison_text
from winnow.evaluation.contrasts import shown

ROOT = Path(__file__).resolve().parents[2]


def test_how_a_gain_reads() -> None:
    ends = {
        (0.001, 0.02): "helps",
        (0.0, 0.02): "non-inferior by 0.01",
        (-0.0099, 0.5): "non-inferior by 0.01",
        (-0.0099, -0.0001): "harms",
        (-0.01, 0.5): "not shown",
        (-0.2, 0.0): "not shown",
    }
    for (low, high), reading in ends.items():
        assert shown({"mean": (low + high) / 2, "low": low, "high": high}, 0.01) == reading
    assert shown({"mean": 0.0, "low": -0.015, "high": 0.01}, 0.02) == "non-inferior by 0.02"
    assert shown({"mean": 0.0, "low": 0.0, "high": 0.0}, 0.01) == "no difference: the arms are equal"


def figures(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.02}


def test_the_table() -> None:
    comparison = {
        "baseline": {"n_train": 1654, "n_test": 2420, "profile": "quick", "accuracy": figures(0.645) | {"seeds": 3}},
        "hydra": {
            "n_train": 1600,
            "n_test": 2420,
            "profile": "quick",
            "accuracy": figures(0.676) | {"seeds": 3},
            "error_reduction": figures(0.087),
            "gain": figures(0.031),
        },
    }
    refinement = {
        # Image 1 has none; both faults come first.
        "signals": {"neighbours": {"ranking_auc": 1.0, "ranking_average_precision": 1.0}},
        "verdicts": {"r1": {"cleanse_influence": {"keep": 2000, "drop": 67, "relabel": 0}}},
        "precision": 0.567,
        "recall": 0.166,
        "f1": 0.257,
        "ranking_auc": 0.8,
        "touched": 67,
        "faults": 229,
    }
    lines = comparison_text(comparison, refinement, Parts({}, 0.01, [])).splitlines()
    assert lines == [
        "arm       training images  accuracy [95 % interval]       error reduction    gain on the row above",
        "─" * 98,
        "baseline            1,654      0.645 [0.635, 0.665]                     –                        –",
        "hydra               1,600      0.676 [0.666, 0.696]  0.087 [0.077, 0.107]  +0.031 [+0.021, +0.051]",
        "Profile quick; intervals over 3 seeds and 2,420 test images.",
        "Verdicts: r1 cleanse_influence kept 2,000, dropped 67, relabelled 0.",
        "Against the truth: precision 0.567, recall 0.166, F1 0.257, ranking AUC 0.800 "
        "(67 dropped or relabelled, 229 faults).",
    ]
    parts = {
        "valuation": {"with": "hydra", "without": "baseline", "gain": figures(0.031)},
        "edge cases, against none": {"with": "full", "without": "less", "gain": figures(-0.005)},
    }
    assert comparison_text(comparison, refinement, Parts(parts, 0.01, [])).splitlines() == [
        *lines,
        "",
        "part of the method           gain [95 % interval]    reading",
        "─" * 60,
        "valuation                 +0.031 [+0.021, +0.051]      helps",
        "edge cases, against none  -0.005 [-0.015, +0.015]  not shown",
    ]


def test_a_control_has_no_gain_on_the_row_above() -> None:
    arms = {
        arm: {
            "n_train": 9,
            "n_test": 9,
            "profile": "quick",
            "accuracy": figures(0.5) | {"seeds": 2},
            "gain": figures(0.1),
        }
        for arm in ("full", "quality-drop")
    }
    rows = comparison_text(arms, {"verdicts": {}}, Parts({}, 0.01, ["quality-drop"])).splitlines()
    assert rows[2].endswith("+0.100 [+0.090, +0.120]")
    assert rows[3].endswith("–")


def test_the_table_is_made_without_anything_heavy() -> None:
    code = (
        "import sys, winnow.evaluation.comparison_table;"
        "heavy = {'torch', 'numpy', 'pyarrow', 'scipy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
