"""Repeats: which seeds are shifted, what makes one run again, and the order in which they run."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from winnow.commands import repeats
from winnow.commands.edited_params import with_changes
from winnow.commands.repeats import inputs_of, is_done, run_repeats, shifted
from winnow.pipeline.params import read_params


def test_every_seed_is_shifted_but_those_of_source_and_splits() -> None:
    params = read_params()
    changes = shifted(params, 2)
    assert shifted(params, 0) == {}
    assert {"value.seed", "search_policy.seed", "augment.seed", "gate.seeds", "compare.seeds"} <= set(changes)
    assert not [key for key in changes if key.startswith(("synthesise", "prepare"))]
    assert changes["value.seed"] == params["value"]["seed"] + 2000
    assert changes["compare.seeds"] == [seed + 2000 for seed in params["compare"]["seeds"]]


def test_no_seed_of_params_is_forgotten() -> None:
    def places(values: Mapping[str, Any], place: str = "") -> list[str]:
        found = []
        for key, value in values.items():
            if isinstance(value, Mapping):
                found += places(value, f"{place}{key}.")
            elif "seed" in key:
                found.append(place + key)
        return found

    params = read_params()
    assert set(places(params)) == set(shifted(params, 1)) | {"synthesise.seed", "prepare.seed"}


def repository(folder: Path) -> Path:
    for name in ("winnow", "stages", "models/user"):
        (folder / name).mkdir(parents=True)
        (folder / name / "code.py").write_text("x = 1\n")
    for name in ("dvc.yaml", "overrides.csv", "requirements.txt", "predictions.csv", "embeddings.csv", "source.zip"):
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize(
    "edited",
    [
        *("winnow/code.py", "stages/code.py", "models/user/code.py", "dvc.yaml", "overrides.csv", "requirements.txt"),
        *("predictions.csv", "embeddings.csv", "source.zip"),
    ],
)
def test_a_repeat_is_of_other_inputs_once_anything_that_it_depends_on_changes(tmp_path: Path, edited: str) -> None:
    root = repository(tmp_path / "repository")
    told = {"predictions": "predictions.csv", "embeddings": "embeddings.csv"}
    before = inputs_of(told | {"seed": 1}, root / "source.zip", root)
    assert inputs_of(told | {"seed": 1}, root / "source.zip", root) == before
    assert inputs_of(told | {"seed": 2}, root / "source.zip", root) != before
    (root / edited).write_text("other")
    assert inputs_of(told | {"seed": 1}, root / "source.zip", root) != before


def test_the_embedded_source_counts_by_what_makes_it(tmp_path: Path) -> None:
    """It is not there when the first repeat starts."""
    root = repository(tmp_path / "repository")
    before = inputs_of({}, root / "data/synthetic.zip", root)
    (root / "data").mkdir()
    (root / "data/synthetic.zip").write_text("made")
    assert inputs_of({}, root / "data/synthetic.zip", root) == before


def test_a_file_cut_short_is_no_repeat(tmp_path: Path) -> None:
    assert not is_done(tmp_path / "1.json", "x")
    (tmp_path / "1.json").write_text('{"inputs": "x"')
    assert not is_done(tmp_path / "1.json", "x")
    (tmp_path / "1.json").write_text('{"inputs": "x"}')
    assert is_done(tmp_path / "1.json", "x")
    assert not is_done(tmp_path / "1.json", "y")


def test_changes_reach_nested_params_and_leave_the_given_ones_alone() -> None:
    given: dict[str, Any] = {"a": {"b": {"seed": 1}}, "c": 2}
    assert with_changes(given, {"a.b.seed": 5}) == {"a": {"b": {"seed": 5}}, "c": 2}
    assert given["a"]["b"]["seed"] == 1


def test_repeats_that_are_there_are_not_run_and_the_first_runs_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path)
    for name, value in {
        "ROOT": root,
        "FOLDER": root / "metrics/repeats",
        "SUMMARY": root / "metrics/repeats.json",
    }.items():
        monkeypatch.setattr(repeats, name, value)
    monkeypatch.setattr(repeats, "inputs_of", lambda params, source: str(params["value"]["seed"]))
    right: dict[str, Any] = {"n_train": 3, "trained": "alike", "right": ["f0", "70"]}
    made: dict[str, Any] = {"profile": "tiny", "n_test": 8, "images": "ids", "refinement": {"f1": 0.5}}
    monkeypatch.setattr(
        repeats,
        "_record",
        lambda repeat, inputs, params: {"repeat": repeat, "inputs": inputs, "arms": {"baseline": right}, **made},
    )
    params: dict[str, Any] = {"dataset": {"source": "source.zip"}, "value": {"seed": 0}, "compare": {"seeds": [0, 1]}}
    params["compare"] |= {"margin": 0.01, "contrasts": {"nothing": ["baseline", "baseline"]}}
    ran: list[dict[str, Any]] = []
    for _ in range(2):
        run_repeats(3, lambda changes: ran.append(dict(changes)), params, {"value.seed": 7})
    assert [changes.get("value.seed", 0) for changes in ran] == [2007, 1007, 0, 0]  # repeat 0 must be what is left
    summary = json.loads((root / "metrics/repeats.json").read_bytes())
    assert (summary["repeats"], summary["arms"]["baseline"]["accuracy"]["mean"]) == (3, 0.4375)
    assert summary["contrasts"]["nothing"]["gain"] == {"mean": 0, "low": 0, "high": 0}
    said = capsys.readouterr().out
    assert "repeat 2 is there already" in said
    assert "no difference: the arms are equal" in said


def test_a_decision_saved_while_a_repeat_runs_is_in_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path)
    for name, value in (("ROOT", root), ("FOLDER", root / "repeats"), ("SUMMARY", root / "repeats.json")):
        monkeypatch.setattr(repeats, name, value)
    monkeypatch.setattr(repeats, "inputs_of", functools.partial(inputs_of, root=root))
    monkeypatch.setattr(repeats, "over_repeats", lambda *_: {})
    monkeypatch.setattr(repeats, "summary_text", lambda *_: "")
    seen: list[str] = []

    def run(changes: Mapping[str, Any]) -> None:
        seen.append((root / "overrides.csv").read_text())
        if len(seen) == 1:
            (root / "overrides.csv").write_text("a decision\n")

    monkeypatch.setattr(repeats, "_record", lambda repeat, inputs, params: {"inputs": inputs, "ran_with": seen[-1]})
    params: dict[str, Any] = {"dataset": {"source": "source.zip"}, "value": {"seed": 0}, "compare": {"seeds": [0]}}
    run_repeats(1, run, {**params, "compare": {"seeds": [0], "contrasts": {}, "margin": 0.01}}, {})
    assert len(seen) == 2
    record = json.loads((root / "repeats/0.json").read_bytes())
    assert record["ran_with"] == "a decision\n"
    wanted = {**params, "compare": {"seeds": [0], "contrasts": {}, "margin": 0.01}}
    assert record["inputs"] == inputs_of(wanted, root / "source.zip", root)
    assert "decisions or code changed meanwhile" in capsys.readouterr().out
