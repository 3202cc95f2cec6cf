"""The summary: what it reads by name, and what it writes."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import summarise
from tests.support.datasets import make_dataset
from winnow.dataset.samples import read_samples
from winnow.evaluation.intervals import accuracy_interval, error_reduction_interval, gain_interval
from winnow.evaluation.seed_files import PREDICTIONS, SeedFiles
from winnow.pipeline.files import write_json, write_table
from winnow.pipeline.messages import UserError
from winnow.verdicts.ledger import VERDICT_SCHEMA, extend_ledger, read_ledger, write_ledger

ROOT = Path(__file__).resolve().parents[2]
SEEDS = [3, 8]
ARMS = {"baseline": "data/prepared", "hydra": "data/r1/cleanse_influence/dataset", "full": "data/refined"}
N = 40


class Project:
    """A finished run's files, small and made up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generator = np.random.default_rng(0)
        self.right = {arm: generator.random((2, N)) < p for arm, p in zip(ARMS, (0.5, 0.6, 0.8), strict=True)}
        for number, arm in enumerate(ARMS):
            for row, seed in enumerate(SEEDS):
                self.write_seed(arm, seed, self.right[arm][row], n_train=100 - number)
        samples = read_samples(make_dataset(folder / "prepared", {"train": 6, "val": 3, "label_book": 3}))
        self.ids = samples["id"].to_pylist()
        self.write_verdicts("r1", "cleanse_influence", {0: "drop", 1: "drop"})
        self.write_truth({0: None, 1: "ii", 2: "i", 3: "i", 7: "ii"})
        scores = pa.table({"id": self.ids[:9], "label_quality": [-2.0, -3.0, *([1.0] * 7)], "other": [0.0] * 9})
        write_table(folder / "scores.parquet", scores)
        write_table(
            folder / "signals.parquet",
            pa.table({"id": self.ids[:9], "neighbours": [0.0, float("nan"), 0.1, *([0.5] * 6)]}),
        )
        first = pa.table({"id": self.ids[:9], "action": ["drop"] * 2 + ["keep"] * 7})
        write_table(folder / "first_verdicts.parquet", first)
        self.write_estimate("cleanse_neighbours", {"touched": 0.0, "stopped": False})
        write_json(folder / "prepare.json", {"rejected_total": 2, "leaks_total": 5, "images_train": 6})

    def write_seed(self, arm: str, seed: int, right: np.ndarray, n_train: int = 1, profile: str = "tiny") -> None:
        ids = [f"{n:016x}" for n in range(len(right))]
        if seed == SEEDS[1]:  # rows in another order, as nothing promises one
            ids, right = ids[::-1], right[::-1]
        predicted = ["i" if hit else "ii" for hit in right]
        curve = [{"train_loss": 1.0 / seed, "val_accuracy": 0.25}, {"train_loss": 0.5 / seed, "val_accuracy": 0.5}]
        figures = {"n_train": n_train, "profile": profile, "curve": curve}
        table = pa.table([ids, ["i"] * len(ids), predicted], schema=PREDICTIONS)
        files = SeedFiles(self.folder / "models" / arm, self.folder / "judged" / arm, seed)
        files.write("made up", weights=b"", predictions=table, figures=figures)

    def write_verdicts(self, round_name: str, stage: str, actions: dict[int, str]) -> None:
        rows = [
            {"id": self.ids[n], "action": actions.get(n, "keep"), "label_after": "iii", "support": 0.0, "evidence": []}
            for n in range(9)
        ]
        rows.append({"id": "a copy", "action": "drop", "label_after": None, "support": 0.0, "evidence": []})
        shared = {"round": round_name, "stage": stage, "by": "winnow"}
        table = pa.Table.from_pylist([row | shared for row in rows], schema=VERDICT_SCHEMA)
        refined = self.folder / "refined"
        write_ledger(refined, extend_ledger(read_ledger(refined), [table]))

    def write_estimate(self, stage: str, figures: dict[str, Any]) -> None:
        write_json(self.folder / f"data/r1/{stage}/estimate.json", figures)

    def write_truth(self, labels: dict[int, str | None]) -> None:
        schema = pa.schema([("id", pa.string()), ("label", pa.string()), ("noise", pa.bool_())])
        rows = [{"id": self.ids[n], "label": label, "noise": label is None} for n, label in labels.items()]
        write_table(self.folder / "truth.parquet", pa.Table.from_pylist(rows, schema=schema))

    def summarise(
        self,
        arms: dict[str, str] = ARMS,
        seeds: list[int] = SEEDS,
        *,
        unjudged: Sequence[str] = (),
        contrasts: dict[str, list[str]] | None = None,
        **changes: Any,
    ) -> None:
        paths: dict[str, Any] = {
            "judge_metrics": self.folder / "judged",
            "judge_models": self.folder / "models",
            "refined": self.folder / "refined",
            "scores": self.folder / "scores.parquet",
            "signals": self.folder / "signals.parquet",
            "first_verdicts": self.folder / "first_verdicts.parquet",
            "estimates": sorted(self.folder.glob("data/r1/*/estimate.json"), reverse=True),  # neighbours, then final
            "prepared": self.folder / "prepared",
            "truth": self.folder / "truth.parquet",
            "prepare_metrics": self.folder / "prepare.json",
            "comparison": self.folder / "comparison.json",
            "contrasts": self.folder / "contrasts.json",
            "refinement": self.folder / "refinement.json",
            "plots": self.folder / "plots",
        }
        judged = [arm for arm in arms if arm not in unjudged]
        params = summarise.Params(seeds, judged, arms, {"control": "data/control"}, contrasts or {}, 0.01)
        summarise.main(params, **(paths | changes))

    def read(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / f"{name}.json").read_text())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def approximately(figures: dict[str, float]) -> Any:
    return pytest.approx(figures, rel=1e-5, abs=1e-6)  # the JSON carries six digits


def test_comparison_is_the_intervals_of_the_answers(project: Project) -> None:
    project.summarise()
    found, right = project.read("comparison"), project.right
    assert list(found) == list(ARMS)
    before = None
    for number, (arm, row) in enumerate(found.items()):
        assert (row["n_train"], row["n_test"], row["profile"]) == (100 - number, N, "tiny")
        assert row["accuracy"] == approximately(accuracy_interval(right[arm]).figures() | {"seeds": 2})
        if before is None:
            assert "gain" not in row
            assert "error_reduction" not in row
        else:
            reduction = error_reduction_interval(right[arm], right["baseline"])
            assert reduction is not None
            assert row["gain"] == approximately(gain_interval(right[arm], right[before]).figures())
            assert row["error_reduction"] == approximately(reduction.figures())
        before = arm


def test_an_arm_that_learned_as_the_one_before_has_no_gain_and_no_interval(project: Project) -> None:
    for seed, right in zip(SEEDS, project.right["hydra"], strict=True):
        project.write_seed("full", seed, right, n_train=99)
    project.summarise(contrasts={"the rest": ["full", "hydra"]})
    exactly = {"mean": 0, "low": 0, "high": 0}
    assert project.read("comparison")["full"]["gain"] == exactly
    assert project.read("contrasts")["the rest"]["gain"] == exactly


PARTS = {"cleansing": ["hydra", "baseline"], "the rest": ["full", "hydra"], "against a control": ["full", "control"]}


def test_contrasts_are_paired_gains_of_the_parts_whose_arms_are_both_judged(project: Project) -> None:
    project.summarise(contrasts=PARTS)
    found, right = project.read("contrasts"), project.right
    assert list(found) == ["cleansing", "the rest"]
    for part, row in found.items():
        having, lacking = PARTS[part]
        gain = gain_interval(right[having], right[lacking]).figures()
        assert row == {"with": having, "without": lacking, "gain": approximately(gain)}
    project.summarise(contrasts=PARTS, unjudged=["hydra"])
    assert project.read("contrasts") == {}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (["full", "half"], "contrasts.part names half, which is none of arms and controls; these have baseline, "),
        (["full"], "contrasts.part must name two arms, one with the part and one without, got ['full']"),
        (["full", "full"], "contrasts.part must name two arms, one with the part and one without, got ['full', "),
        (["full", "hydra", "baseline"], "contrasts.part must name two arms"),
    ],
)
def test_a_contrast_names_two_arms_that_there_are(pair: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        summarise.Params(SEEDS, ["full"], ARMS, {}, {"part": pair}, 0.01)


def test_a_control_is_no_arm_of_another_dataset() -> None:
    summarise.Params(SEEDS, ["full"], ARMS, {"full": ARMS["full"]}, {}, 0.01)
    with pytest.raises(ValueError, match=r"controls\.full is data/other, but arms has data/refined by that name"):
        summarise.Params(SEEDS, ["full"], ARMS, {"full": "data/other"}, {}, 0.01)


def lists_in(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and any(map(lists_in, value.values())))


def test_metrics_hold_no_lists(project: Project) -> None:
    project.summarise()
    assert not lists_in(project.read("comparison"))
    assert not lists_in(project.read("refinement"))


def test_refinement_counts_and_scores(project: Project) -> None:
    project.summarise()
    # Labels go i, ii, iii, i, ii, iii in train and i, ii, iii in val. Given i, ii, iii, i, ii for the five known, so
    # images 0 (junk) and 2 (iii, truly i) are faults; 0 and 1 were dropped.
    assert project.read("refinement") == {
        "images": 9,
        "dropped": 2,
        "relabelled": 0,
        "overridden": {"keep": 0, "drop": 0, "relabel": 0},
        "decisions": {"before": 0, "at_end": 0},
        "faults": 2,
        "touched": 2,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        # Of the known ones, sound image 1 scores lowest, then fault 0; fault 2 ties with the sound images 3 and 7.
        "ranking_auc": pytest.approx((2 + 1) / 6),
        "ranking_average_precision": pytest.approx((1 / 2 + 2 / 5) / 2),
        # Image 1 has none; both faults come first.
        "signals": {"neighbours": {"ranking_auc": 1.0, "ranking_average_precision": 1.0}},
        "touched_share": pytest.approx(2 / 9),
        "stopped": "",
        "verdicts": {"r1": {"cleanse_influence": {"keep": 7, "drop": 2, "relabel": 0, "copies_dropped": 1}}},
        "rejected_files": 2,
        "leaks_removed": 5,
    }


def test_the_first_estimate_counts_and_what_only_ranked_is_named(project: Project) -> None:
    project.write_estimate("cleanse_neighbours", {"estimated_faults": 0.04, "touched": 0.2, "stopped": True})
    project.write_estimate("cleanse_final", {"estimated_faults": 0.03, "touched": 0.15, "stopped": True})
    project.summarise()
    refinement = project.read("refinement")
    assert refinement["estimated_faults"] == 0.04
    assert refinement["stopped"] == "r1 cleanse_neighbours, r1 cleanse_final"
    assert not lists_in(refinement)


def test_verdicts_of_several_stages_and_rounds(project: Project) -> None:
    project.write_verdicts("r2", "cleanse_final", {2: "relabel", 1: "relabel"})
    project.summarise()
    refinement = project.read("refinement")
    assert refinement["verdicts"]["r2"] == {"cleanse_final": {"keep": 7, "drop": 0, "relabel": 2, "copies_dropped": 1}}
    assert list(refinement["verdicts"]) == ["r1", "r2"]


def test_without_truth_there_are_no_scores(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write_truth({})
    project.summarise()
    assert not {"precision", "recall", "f1", "faults", "relabels_right", "ranking_auc"} & set(
        project.read("refinement")
    )
    assert "truth" not in capsys.readouterr().out


def test_a_removed_arm_and_seed_are_not_reported(project: Project) -> None:
    project.summarise(arms={"full": "data/refined", "baseline": "data/prepared"}, seeds=[8])
    found = project.read("comparison")
    assert list(found) == ["full", "baseline"]  # params' order; the first is what the others are held against
    assert found["full"]["accuracy"]["seeds"] == 1
    assert "gain" not in found["full"]
    assert found["baseline"]["accuracy"] == approximately(
        accuracy_interval(project.right["baseline"][1:]).figures() | {"seeds": 1}
    )


def test_a_perfect_baseline_leaves_no_error_to_reduce(project: Project) -> None:
    for seed in SEEDS:
        project.write_seed("baseline", seed, np.ones(N, bool))
    project.summarise()
    row = project.read("comparison")["hydra"]
    assert "error_reduction" not in row
    assert row["gain"]["mean"] < 0


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_plots_data(project: Project) -> None:
    project.summarise()
    rows = read_csv(project.folder / "plots/accuracy.csv")
    assert [row["arm"] for row in rows] == list(ARMS)
    assert float(rows[2]["accuracy"]) == pytest.approx(project.right["full"].mean())
    assert float(rows[2]["low"]) < float(rows[2]["accuracy"]) < float(rows[2]["high"])
    curves = read_csv(project.folder / "plots/curves.csv")
    assert [(row["arm"], row["epoch"]) for row in curves] == [(arm, epoch) for arm in ARMS for epoch in "12"]
    assert float(curves[1]["train_loss"]) == pytest.approx((0.5 / 3 + 0.5 / 8) / 2, rel=1e-5)
    assert float(curves[1]["val_accuracy"]) == 0.5


@pytest.mark.parametrize(
    ("template", "table", "columns"),
    [("intervals", "accuracy.csv", {"low", "high"}), ("by_arm", "curves.csv", {"arm"})],
)
def test_plot_templates_name_columns_that_are_there(
    project: Project, template: str, table: str, columns: set[str]
) -> None:
    project.summarise()
    text = (ROOT / ".dvc/plots" / f"{template}.json").read_text()
    json.loads(text)
    named = set(re.findall(r'"field": "([a-z_]+)"', text)) - {"rev"}  # DVC adds the version's name
    assert named == columns
    assert columns < set(read_csv(project.folder / "plots" / table)[0])


def test_trouble_is_one_sentence(project: Project) -> None:
    with pytest.raises(UserError, match=r"judged/gone/seed-3.json is missing; run `dvc repro`"):
        project.summarise(arms=ARMS | {"gone": "data/gone"})
    with pytest.raises(ValueError, match="judged and seeds must each name at least one"):
        project.summarise(arms={})
    with pytest.raises(ValueError, match="judged names full, which is none of arms; arms has baseline"):
        summarise.Params([0], ["baseline", "full"], {"baseline": "data/prepared"}, {}, {}, 0.01)
    project.write_seed("full", 3, project.right["full"][0], n_train=98, profile="other")
    with pytest.raises(UserError, match="its seeds were judged on different images or profiles"):
        project.summarise()
    project.write_seed("full", 8, project.right["full"][1], n_train=98, profile="other")
    with pytest.raises(UserError, match="arm full was judged on other test images or with another profile"):
        project.summarise()
    (project.folder / "models/full/seed-3.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"seed-3\.parquet is not a whole parquet table"):
        project.summarise()


def test_predictions_are_sorted_by_id(project: Project) -> None:
    files = SeedFiles(project.folder / "models/full", project.folder / "judged/full", SEEDS[1])
    assert pq.read_table(files.predictions)["id"].to_pylist() != files.read_predictions()["id"].to_pylist()
    assert files.read_predictions()["id"].to_pylist() == sorted(files.read_predictions()["id"].to_pylist())
