"""A record has the figures that a run left, what dvc.lock says of it, and the commit; nothing else passes."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.finished import md5
from bench.record import TOLD, make_record
from bench.results_record import record_section
from winnow.evaluation.repeats import packed

TOLD_OF_IT = {key: f"the {key}" for key in (*TOLD, "note", "date")}
SPREAD = {"mean": 0.5, "low": 0.4, "high": 0.6}
PARTS = {"influence": ["hydra", "quality-drop"], "inversion": ["full", "full-without-inversion"]}
METRICS = {
    "metrics/comparison.json": {
        "baseline": {"n_train": 9, "n_test": 50, "profile": "quick", "accuracy": SPREAD | {"seeds": 2}},
        "full": {"n_train": 12, "n_test": 50, "profile": "quick", "accuracy": SPREAD | {"seeds": 2}, "gain": SPREAD},
    },
    "metrics/refinement.json": {"images": 9, "dropped": 1, "relabelled": 0, "stopped": "", "verdicts": {"r1": {}}},
    "metrics/contrasts.json": {"influence": {"with": "hydra", "without": "quality-drop", "gain": SPREAD}},
    "metrics/gate/r1.json": {
        "accepted": True,
        "margin": 0.03,
        "images": 9,
        "cleansing": SPREAD,
        "augmentation": SPREAD,
    },
}
PACKAGE = {
    "winnow/part/why.py": "",
    "winnow/part/a.py": "x",
    "winnow/part/deep/b.py": "y",
    "winnow/part/deep.py": "z",
}
HASH = "71a212d54dc38c65befa40e4423325db.dir"  # as DVC 3.67 has it in dvc.lock
REPEATS = {
    "repeats": 2,
    "seeds": 2,
    "n_test": 50,
    "profile": "quick",
    "arms": {
        "baseline": {"accuracy": SPREAD, "n_train": [9, 9]},
        "full": {"accuracy": SPREAD, "gain": SPREAD, "n_train": [12, 14]},
    },
    "refinement": {"images": [9, 9], "dropped": [1, 2], "relabelled": [0, 0]},
    "contrasts": {},
}


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository in which a run has ended."""
    outs: dict[str, list[dict[str, str]]] = {"summarise": [], "gate@r1": []}
    for path, figures in METRICS.items():
        content = json.dumps(figures).encode()
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
        stage = "gate@r1" if "gate" in path else "summarise"
        outs[stage].append({"path": path, "md5": md5(content)})
    compare = {"seeds": [0, 1], "judged": ["baseline", "full"], "contrasts": PARTS, "margin": 0.01}
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "summarise.py").write_text("run")
    (tmp_path / "stages" / "arm.py").write_text("arm")
    code = [{"path": "stages/summarise.py", "md5": md5(b"run")}, {"path": "winnow/part", "md5": HASH}]
    made = {"gate": "${rounds}", "controls": "${controls}", "arm": "${compare.arms}"}
    repeated = {name: {"foreach": items} for name, items in made.items()}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"summarise": {}, "report": {}, **repeated}}))
    (tmp_path / "params.yaml").write_text("controls: {}\ncompare: {arms: {baseline: data}}\n")
    stages = {
        "gone": {"deps": [{"path": "stages/gone.py", "md5": "of another run"}]},
        "controls@r1": {"deps": [{"path": "stages/gone.py", "md5": "of another run"}]},
        "arm@baseline": {"deps": [{"path": "stages/arm.py", "md5": md5(b"arm")}]},
        "gate@r2": {"deps": [{"path": "stages/gone.py", "md5": "of another run"}]},
        "summarise": {"deps": code, "params": {"params.yaml": {"compare": compare}}, "outs": outs["summarise"]},
        "gate@r1": {"outs": outs["gate@r1"]},
        "report": {"params": {"params.yaml": {"rounds": {"r1": {"input": "data/prepared"}}}}},
    }
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--no-verify", "-m", "a run")
    return tmp_path


def write(path: Path, figures: dict[str, Any]) -> None:
    path.write_text(json.dumps(figures))


def write_repeats(folder: Path, summary: dict[str, Any], *, right: int = 25) -> None:
    """The summary, and repeat 0 with so many right answers of 50 by each seed."""
    write(folder / "metrics/repeats.json", summary)
    answers = packed(np.arange(50)[None].repeat(2, axis=0) < right)
    (folder / "metrics/repeats").mkdir()
    write(folder / "metrics/repeats/0.json", {"arms": {arm: {"right": answers} for arm in ("baseline", "full")}})


def test_a_run_alone_gives_its_arms_parts_verdicts_and_gate_with_their_provenance(folder: Path) -> None:
    record = make_record(folder, TOLD_OF_IT)
    basis = {"commit": git(folder, "rev-parse", "--short=7", "HEAD"), "profile": "quick"}
    assert record["provenance"] == TOLD_OF_IT | basis | {"rounds": 1, "seeds": 2, "n_test": 50}
    assert record["arms"] == {
        "baseline": {"n_train": 9, "accuracy": SPREAD | {"seeds": 2}},
        "full": {"n_train": 12, "accuracy": SPREAD | {"seeds": 2}, "gain": SPREAD},
    }
    assert record["detection"] == {"images": 9, "dropped": 1, "relabelled": 0}
    assert record["gates"] == {"r1": METRICS["metrics/gate/r1.json"]}
    assert (record["parts"], record["margin"]) == (PARTS, 0.01)
    section = record_section(record)
    assert "| influence | hydra | quality-drop | +0.500 [+0.400, +0.600] | helps |" in section
    assert "| inversion | full | full-without-inversion |  | not measured |" in section


def test_where_there_are_repeats_the_record_has_their_summary(folder: Path) -> None:
    write_repeats(folder, REPEATS)
    record = make_record(folder, TOLD_OF_IT)
    assert record["over_repeats"] == REPEATS
    assert not {"arms", "detection", "contrasts"} & set(record)
    assert "2 repeats of the whole pipeline (2 seeds each)" in " ".join(record_section(record).split())


def test_a_run_of_before_there_were_contrasts_has_no_parts(folder: Path) -> None:
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    compare = lock["stages"]["summarise"]["params"]["params.yaml"]["compare"]
    del compare["contrasts"], compare["margin"]
    del lock["stages"]["summarise"]["outs"][2]
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock))
    record = make_record(folder, TOLD_OF_IT)
    assert "parts" not in record
    assert record["contrasts"] == {}


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 3},
        {"profile": "competition"},
        {"refinement": {"dropped": [2, 1]}},
        {"arms": {"baseline": {"n_train": [9, 9]}}},
        {"arms": {"baseline": {"n_train": [9, 9]}, "full": {"n_train": [14, 12]}}},
    ],
)
def test_repeats_of_another_run_are_refused(folder: Path, change: dict[str, Any]) -> None:
    write_repeats(folder, REPEATS | change)
    with pytest.raises(SystemExit, match=r"repeats\.json is not of the run"):
        make_record(folder, TOLD_OF_IT)


def test_repeats_of_another_judging_are_refused(folder: Path) -> None:
    write_repeats(folder, REPEATS, right=26)
    with pytest.raises(SystemExit, match=r"repeats\.json is not of the run"):
        make_record(folder, TOLD_OF_IT)


@pytest.mark.parametrize("path", list(METRICS))
def test_a_figure_that_was_edited_is_refused(folder: Path, path: str) -> None:
    content = (folder / path).read_text()
    (folder / path).write_text(content.replace("0.6", "0.7").replace('"dropped": 1', '"dropped": 2'))
    with pytest.raises(SystemExit, match=f"{path} is not what stage"):
        make_record(folder, TOLD_OF_IT)
    (folder / path).unlink()
    with pytest.raises(SystemExit, match=f"{path} is not what stage"):
        make_record(folder, TOLD_OF_IT)


def test_code_that_is_not_committed_is_refused(folder: Path) -> None:
    (folder / "winnow/part/why.py").write_text("# changed\n")
    with pytest.raises(SystemExit, match=r"commit the code before.*\n.*winnow/part/why\.py"):
        make_record(folder, TOLD_OF_IT)


@pytest.mark.parametrize("path", ["stages/summarise.py", "winnow/part/why.py"])
def test_code_that_the_run_did_not_use_is_refused(folder: Path, path: str) -> None:
    (folder / path).write_text("# changed\n")
    git(folder, "commit", "--quiet", "--no-verify", "--all", "-m", "another")
    with pytest.raises(SystemExit, match=r" is not what stage summarise ran with; record the run at its commit"):
        make_record(folder, TOLD_OF_IT)


def test_a_run_that_has_not_ended_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (folder / "dvc.lock").write_text(yaml.safe_dump({"stages": {}}))
    with pytest.raises(SystemExit, match="has no compare of stage summarise; finish the run"):
        make_record(folder, TOLD_OF_IT)
    with pytest.raises(SystemExit, match=r"dvc\.lock is missing"):
        make_record(tmp_path_factory.mktemp("empty"), TOLD_OF_IT)
