"""Decisions carried on: into what a whole run starts from, and by the three stages that need no training."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from tests.support.datasets import make_dataset
from winnow.commands.apply import STAGES, apply, main
from winnow.commands.decided import take_decisions, taken_back
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import read_samples
from winnow.pipeline.messages import UserError
from winnow.verdicts.apply import with_overrides
from winnow.verdicts.decision_rows import read_decision_rows
from winnow.verdicts.ledger import BEFORE, DECIDED, write_ledger
from winnow.verdicts.overrides import Override

HEAD = "sample,action,label,by,note\n"


def test_a_run_takes_the_decisions_that_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared = make_dataset(tmp_path / "prepared", {"train": 12, "val": 3})
    overrides, decided = tmp_path / "overrides.csv", tmp_path / "decided.csv"
    lines = [
        "train/i/0.png,drop,,mia,",
        "train/i/0.png,relabel,ii,tom,seen",
        "train/ii/1.png,drop",
        "train/ii/1.png,undo",
    ]
    overrides.write_text(HEAD + "\n".join([*lines, "val/iii/2.png,keep,,mia,"]))
    before = overrides.read_bytes()
    decided.write_text(HEAD)
    take_decisions(overrides, decided, prepared)
    assert [(row.sample, row.action, row.label, row.by, row.note) for row in read_decision_rows(decided)] == [
        ("train/i/0.png", "relabel", "ii", "tom", "seen"),
        ("val/iii/2.png", "keep", "", "mia", ""),
    ]
    assert overrides.read_bytes() == before
    assert "run: decided.csv now has the 2 decisions of overrides.csv; the first round" in capsys.readouterr().out


def test_what_was_decided_before_stays_where_overrides_csv_says_nothing_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = make_dataset(tmp_path / "prepared", {"train": 12, "val": 3})
    overrides, decided = tmp_path / "overrides.csv", tmp_path / "decided.csv"
    identifier = {row["name"]: row["id"] for row in read_samples(prepared).to_pylist()}
    decided.write_text(
        f"{HEAD}train/i/0.png,drop,,mia,\n{identifier['train/ii/1.png']},drop\ntrain/iii/2.png,drop\ngone.png,drop\n"
    )
    overrides.write_text(f"{HEAD}train/ii/1.png,undo\n{identifier['train/iii/2.png']},keep\ngone.png,undo\n")
    take_decisions(overrides, decided, prepared)
    assert [(row.sample, row.action, row.by) for row in read_decision_rows(decided)] == [
        ("train/i/0.png", "drop", "mia"),
        (identifier["train/iii/2.png"], "keep", ""),
    ]
    said = "now has the 1 decisions of overrides.csv and 1 that it had, on images of which overrides.csv says nothing;"
    assert said in capsys.readouterr().out
    overrides.write_text(HEAD)
    before = decided.read_bytes()
    take_decisions(overrides, decided, prepared)
    assert decided.read_bytes() == before


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("of/another.png,drop\n", "decided.csv with the decisions of overrides.csv, line 2: .* no train or val image"),
        ("".join(f"train/i/{number}.png,drop\n" for number in (3, 6)), "leaves 1 train image of class 'i', 2 must"),
    ],
)
def test_decisions_that_are_not_valid_together_change_nothing(tmp_path: Path, lines: str, said: str) -> None:
    prepared = make_dataset(tmp_path / "prepared", {"train": 12, "val": 3})
    overrides, decided = tmp_path / "overrides.csv", tmp_path / "decided.csv"
    decided.write_text(HEAD + lines)
    overrides.write_text(HEAD + "train/i/0.png,drop\n")
    with pytest.raises(UserError, match=said):
        take_decisions(overrides, decided, prepared)
    assert decided.read_text() == HEAD + lines


def test_what_was_decided_before_and_taken_back_since_is_counted(tmp_path: Path) -> None:
    prepared = make_dataset(tmp_path / "prepared", {"train": 12, "val": 3})
    overrides, refined = tmp_path / "overrides.csv", tmp_path / "refined"
    samples = read_samples(prepared)
    overrides.write_text(HEAD)
    said = {row["id"]: Override(None, "", "mia") for row in samples.to_pylist()[:4]}
    first, second, third, _ = (row["name"] for row in samples.to_pylist()[:4])
    write_dataset(refined, samples, shards_from=[prepared])
    assert taken_back(overrides, refined, prepared) == 0
    write_ledger(refined, with_overrides(samples, said, round_name=BEFORE, stage=DECIDED)[1])
    assert taken_back(overrides, refined, prepared) == 0
    overrides.write_text(f"{HEAD}{first},undo\n{second},keep\n{second},undo\n{third},undo\n{third},keep\n")
    assert taken_back(overrides, refined, prepared) == 2


def test_decisions_that_are_not_valid_are_not_taken(tmp_path: Path) -> None:
    prepared = make_dataset(tmp_path / "prepared", {"train": 12, "val": 3})
    overrides, decided = tmp_path / "overrides.csv", tmp_path / "decided.csv"
    overrides.write_text(HEAD + "nobody,drop\n")
    decided.write_text(HEAD)
    with pytest.raises(UserError, match="line 2: 'nobody' is no train or val image"):
        take_decisions(overrides, decided, prepared)
    assert decided.read_text() == HEAD


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The three stages, each of which copies a file, among others that would fail."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "project"
    root.mkdir()
    Repo.init(str(root), no_scm=True).close()
    stages: dict[str, Any] = {"train": {"cmd": "false", "outs": ["models"]}}
    paths = ["overrides.csv", "resolved", "refined", "export"]
    for stage, given, made in zip(STAGES, paths, paths[1:], strict=False):
        stages[stage] = {"cmd": f"cp {given} {made}", "deps": [given], "outs": [made]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (root / "overrides.csv").write_text(HEAD)
    with contextlib.chdir(root):
        yield root


def test_three_stages_run_where_something_changed_and_are_recorded(project: Path) -> None:
    assert apply(project) == list(STAGES)
    assert (project / "export").read_text() == HEAD
    assert set(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == set(STAGES)
    with Repo(str(project)) as repo:
        assert repo.status(targets=list(STAGES)) == {}
    assert apply(project) == []
    (project / "overrides.csv").write_text(HEAD + "a,drop\n")
    assert apply(project) == list(STAGES)
    assert (project / "export").read_text() == HEAD + "a,drop\n"


def test_a_stage_that_fails_stops_and_what_ran_before_it_is_recorded(project: Path) -> None:
    pipeline = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(pipeline.replace("cp resolved refined", "cp nothing refined"))
    with pytest.raises(
        UserError, match=r"stopped \(.*cp nothing refined.*`make pull` brings one, or `make run` makes one$"
    ) as caught:
        apply(project)
    assert "\n" not in str(caught.value)
    assert set(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == {"overrides"}
    (project / "dvc.yaml").write_text(pipeline)
    assert apply(project) == ["refined", "export"]


def test_without_what_a_run_makes_it_says_so(project: Path) -> None:
    pipeline = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(pipeline.replace("- overrides.csv", "- accepted\n    - overrides.csv"))
    with pytest.raises(
        UserError, match=r"stopped \(.*accepted.*without a finished run here, `make pull` brings one, or"
    ):
        apply(project)


WRITER = """
import fcntl, pathlib, sys
if sys.argv[1] == "always" or not pathlib.Path("once").exists():
    pathlib.Path("once").touch()
    with open(".overrides.csv.lock", "a") as lock, open("overrides.csv", "a") as file:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB if sys.argv[2] == "asks" else fcntl.LOCK_UN)
        except BlockingIOError:
            sys.exit()
        file.write("a,drop\\n")
    sys.exit(int(sys.argv[3]))
"""


def with_a_writer(project: Path, *options: str) -> None:
    """A stage that reads the decisions, and somebody who saves one before DVC hashes what it read."""
    (project / "writer.py").write_text(WRITER)
    pipeline = (project / "dvc.yaml").read_text()
    command = f"cp overrides.csv resolved && {sys.executable} writer.py {' '.join(options)}"
    (project / "dvc.yaml").write_text(pipeline.replace("cp overrides.csv resolved", command))


@pytest.mark.parametrize("options", [("once", "asks", "0"), ("once", "asks", "1"), ("always", "asks", "0")])
def test_a_decision_saved_while_the_stages_run_reaches_the_data_or_is_not_recorded(
    project: Path, options: tuple[str, ...]
) -> None:
    with_a_writer(project, *options)
    assert apply(project) == list(STAGES)
    whole = (project / "overrides.csv").read_text()
    assert whole.startswith(HEAD + "a,drop\n")
    assert (project / "export").read_text() == whole
    with Repo(str(project)) as repo:
        assert repo.status(targets=list(STAGES)) == {}
    assert apply(project) == []


def test_a_program_that_saves_whenever_the_stage_runs_and_knows_no_lock_is_refused(project: Path) -> None:
    with_a_writer(project, "always", "does-not-ask", "0")
    with pytest.raises(UserError, match=r"overrides\.csv was changed whenever it was read, 3 times; save it, and run"):
        apply(project)
    assert not (project / "dvc.lock").exists()
    (project / "dvc.yaml").write_text((project / "dvc.yaml").read_text().replace("always", "once"))
    assert apply(project) == list(STAGES)
    assert (project / "export").read_text() == (project / "overrides.csv").read_text()


def test_what_export_alone_did_is_a_change(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"one_run": contextlib.nullcontext, "taken_back": lambda: 2}.items():
        monkeypatch.setattr(f"winnow.commands.apply.{name}", value)
    for name in ("sweep", "check_merged", "check_lock", "check_overrides"):
        monkeypatch.setattr(f"winnow.commands.apply.{name}", lambda *_: None)
    for done, said in ((["export"], "`make run` measures what that gains"), ([], "nothing had changed")):
        monkeypatch.setattr("winnow.commands.apply.apply", lambda done=done: done)
        main("apply", [])
        printed = capsys.readouterr().out
        assert said in printed
        assert "2 images stay as people decided before the first round" in printed
        assert "`make run DECIDED=1` carries it out" in printed
