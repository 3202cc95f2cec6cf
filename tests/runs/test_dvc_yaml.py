"""dvc.yaml, params.yaml and the code held against each other."""

import importlib
import re
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.imports import ROOT, import_closure
from tests.support.workspace import Workspace
from winnow.commands.run import requested_changes
from winnow.pipeline.params import load_params

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = {name: entry.get("do", entry) for name, entry in PIPELINE["stages"].items()}

BY_PARAMS = {"${dataset.source}", "${predictions}", "${embeddings}"}  # paths that a stage reads from params.yaml


def names(entries: list[Any]) -> list[str]:
    """Paths of a deps, outs or metrics list, whose entries may carry options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_exactly_the_packages_that_the_stage_imports(stage: str) -> None:
    """Every module that the stage runs lies in a declared package, and every declared package is reached."""
    script, *declared = [dep for dep in names(STAGES[stage]["deps"]) if dep.startswith(("stages/", "winnow/"))]
    assert script == f"stages/{stage}.py"
    reached = {code_dep(module) for module in import_closure(ROOT / script) if module.startswith("winnow/")}
    assert sorted(declared) == sorted(reached)


def code_dep(module: str) -> str:
    """What dvc.yaml names for a module: its package, or the module itself where it stands in none."""
    top, inner, *_ = module.split("/")
    return f"{top}/{inner}"


def test_package_inits_are_empty() -> None:
    """A re-export there would make every stage depend on every module."""
    packages = {path.parent for path in (ROOT / "winnow").rglob("*.py")}
    assert {(package / "__init__.py").read_bytes() for package in packages} == {b""}


@pytest.mark.parametrize("stage", STAGES)
def test_every_path_of_the_command_is_declared_and_the_reverse(stage: str) -> None:
    entry = STAGES[stage]
    told = set(re.findall(r"(?:data|models|metrics|report)/[\w./${}]+|\w+\.csv|\$\{item[\w.]*\}", entry["cmd"]))
    paths = [*names(entry["deps"]), *names(entry.get("outs", [])), *names(entry.get("metrics", []))]
    # Of a dataset that may be another dependency too, its files are declared: DVC takes a path once.
    paths = [path.removesuffix("/samples.parquet").removesuffix("/images") for path in paths]
    declared = {path for path in paths if not path.startswith(("stages/", "winnow/")) and path not in BY_PARAMS}
    assert told == declared


def test_every_script_is_a_stage_with_its_own_name() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert scripts == set(STAGES)
    for stage, entry in STAGES.items():
        assert entry["cmd"].startswith(f"python -m stages.{stage} ")
        assert entry["desc"]


def test_after_prepare_only_the_judge_reads_the_test_set() -> None:
    naming = {stage for stage, entry in STAGES.items() if "data/test" in str(entry)}
    assert naming == {"prepare", "judge"}


def test_only_the_summary_reads_the_truth() -> None:
    assert {stage for stage, entry in STAGES.items() if "truth.parquet" in str(entry)} == {"prepare", "summarise"}


def test_overrides_reach_the_refined_dataset_alone_and_decisions_all_that_judges() -> None:
    reading = {
        path: {stage for stage, entry in STAGES.items() if path in names(entry["deps"])}
        for path in ("overrides.csv", "data/overrides.parquet", "decided.csv", "data/decided.parquet")
    }
    assert reading == {
        "overrides.csv": {"overrides"},
        "data/overrides.parquet": {"refined"},
        "decided.csv": {"decided"},
        "data/decided.parquet": {"cleanse_influence", "cleanse_neighbours", "cleanse_final", "gate"},
    }
    assert next(iter(PARAMS["rounds"].values())) == {"input": "data/decided"}
    assert PARAMS["compare"]["arms"]["baseline"] == "data/prepared"


def test_packages_bring_no_module_in_at_the_top() -> None:
    assert (ROOT / "winnow" / "__init__.py").read_text() == ""
    assert import_closure(ROOT / "stages" / "__init__.py") == {"stages/__init__.py"}


def test_no_params_key_has_a_name_that_the_run_cache_ignores() -> None:
    assert not {"size", "nfiles"} & set(keys(PARAMS))


def sections(stage: str) -> list[tuple[str, Any]]:
    """Section of params.yaml and its type, of all that a stage reads."""
    return list(importlib.import_module(f"stages.{stage}").SECTIONS.values())


@pytest.mark.parametrize("stage", STAGES)
def test_every_section_loads_strictly(stage: str) -> None:
    for section, kind in sections(stage):
        load_params(section, kind)


def test_every_section_is_read_and_declared() -> None:
    for stage, entry in STAGES.items():
        read = {section for section, _ in sections(stage)}
        declared = set(entry.get("params", []))
        covered = {section for section in read if any(f"{section}.".startswith(f"{name}.") for name in declared)}
        assert covered == read, f"{stage} reads {read - covered} undeclared"
    known = {section.split(".")[0] for stage in STAGES for section, _ in sections(stage)} | {
        "rounds",
        "controls",
        "compare",
        "refined",
        "augment_inversion",  # what a foreach runs over
    }
    assert set(PARAMS) == known


def test_metrics_are_the_few_summaries_and_hold_no_lists() -> None:
    declared = [path for entry in STAGES.values() for path in names(entry.get("metrics", []))]
    assert declared == [
        "metrics/gate/${key}.json",
        "metrics/comparison.json",
        "metrics/contrasts.json",
        "metrics/refinement.json",
    ]
    for path in declared:
        assert "[" not in (ROOT / path.replace("${key}", "r1")).read_text()


def test_controls_are_stages_where_they_are_asked_for_alone(tmp_path: Path) -> None:
    workspace = Workspace.new(tmp_path, {})
    plain = workspace.commands()
    assert not [name for name in plain if name.startswith("control")]
    workspace.set_params(
        requested_changes(Namespace(seeds=2, profile="quick", rounds=2, repeats=1, arms="all"), PARAMS)
    )
    commands = workspace.commands()
    new = {name for name in commands if not name.endswith("@r2")} - set(plain)
    assert new == {"control_steps@r1", "control_refined@r1", *(f"arm@{name}" for name in PARAMS["compare"]["controls"])}
    assert "--policy models/r1/policy.json" in commands["control_steps@r1"]
    assert "--policy models/r2/policy.json" in commands["control_refined@r1"]  # whose copies data/refined has
    for name, dataset in PARAMS["compare"]["controls"].items():
        assert f"--dataset {dataset} " in commands[f"arm@{name}"]


def test_nothing_is_frozen_or_always_changed_and_outs_of_metrics_stay_in_git() -> None:
    assert not {"frozen", "always_changed"} & set(keys(PIPELINE))
    for entry in STAGES.values():
        for out in entry.get("outs", []):
            path = next(iter(out)) if isinstance(out, dict) else out
            if path.startswith("metrics/") and not path.endswith(".png"):
                assert out[path]["cache"] is False, path


def test_the_cache_is_never_hard_linked() -> None:
    assert 'type = "reflink,copy"' in (ROOT / ".dvc/config").read_text()


def test_sources_of_others_and_caches_are_not_committed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [path for path in tracked if path.endswith((".zip", ".safetensors", ".parquet", ".pkl", ".pt"))]


def test_no_pickle_is_loaded_from_data() -> None:
    # What they load, the stage's own process wrote for its workers.
    own_processes = [*(ROOT / "winnow/engine").glob("*.py")]
    only_tensors = 'torch.load(file, map_location="cpu", weights_only=True)'  # of the user's own weights; runs no code
    for file in [*(ROOT / "winnow").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]:
        text = "" if file in own_processes else file.read_text()
        if file == ROOT / "winnow/backbone/weights.py":
            assert text.count(only_tensors) == 1
            for harmless in (only_tensors, "pickle.UnpicklingError", "import pickle\n"):
                text = text.replace(harmless, "")
        assert not re.search(r"\bpickle\b|torch\.load|allow_pickle|joblib\.load", text), file
