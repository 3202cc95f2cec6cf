"""The driver: params.yaml changed and put back, the source as stored."""

import contextlib
import hashlib
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.datasets import make_dataset
from tests.support.imports import ROOT
from tests.support.processes import on_a_full_disk
from winnow.commands import edited_params, run
from winnow.commands.checks import check_classes, check_overrides, check_params
from winnow.commands.edited_params import changed_params, restore_params
from winnow.commands.run import (
    home_warning,
    one_run,
    requested_changes,
    stored_source,
    unrolled,
)
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import read_params

PARAMS = (ROOT / "params.yaml").read_bytes()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_bytes(PARAMS)
    return tmp_path / "params.yaml"


def test_a_change_touches_its_line_alone(file: Path) -> None:
    with changed_params({"dataset.source": "/a b/[c]'s #1: x.zip", "compare.seeds": [0, 1, 2, 3, 4]}, file):
        pass
    params = read_params(file)
    assert params["dataset"]["source"] == "/a b/[c]'s #1: x.zip"
    assert params["compare"]["seeds"] == [0, 1, 2, 3, 4]
    before, after = PARAMS.decode().splitlines(), file.read_text().splitlines()
    changed = [line for line, other in zip(before, after, strict=True) if line != other]
    assert [line.split(":")[0].strip() for line in changed] == ["source", "seeds"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_failing_run_puts_every_byte_back(file: Path, error: type[BaseException]) -> None:
    seen = []

    def run() -> None:
        with changed_params({"dataset.source": "elsewhere"}, file):
            seen.append(read_params(file)["dataset"]["source"])
            raise error

    with pytest.raises(error):
        run()
    assert seen == ["elsewhere"]
    assert file.read_bytes() == PARAMS


@pytest.mark.parametrize("changes", [{}, {"dataset.source": "elsewhere"}])
def test_what_a_person_edits_meanwhile_stays(
    file: Path, changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    edited: list[bytes] = []

    def run() -> None:
        with changed_params(changes, file):
            file.write_bytes(file.read_bytes().replace(b"votes: 1", b"votes: 2"))
            edited.append(file.read_bytes())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert file.read_bytes() == edited[0] != PARAMS
    assert ("edited meanwhile and is not restored; this run had set dataset.source" in capsys.readouterr().out) == bool(
        changes
    )


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(edited_params, "KEPT", tmp_path / "kept.json")
    return tmp_path / "kept.json"


def test_the_seeds_of_a_repeat_do_not_stay(file: Path, kept: Path) -> None:
    with changed_params({"value.seed": 1000}, file, keep=False):
        assert read_params(file)["value"]["seed"] == 1000
        assert kept.exists()
    assert file.read_bytes() == PARAMS
    assert not kept.exists()


def test_an_edit_during_a_repeat_is_not_overwritten(file: Path, kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with changed_params({"value.seed": 1000}, file, keep=False):
        file.write_bytes(file.read_bytes() + b"# mine\n")
    assert file.read_text().endswith("# mine\n")
    assert "was edited meanwhile and is not restored; this run had set value.seed" in capsys.readouterr().out


@pytest.mark.parametrize("edited", [False, True])
def test_after_a_kill_in_a_repeat_the_params_come_back_unless_they_were_edited(
    file: Path, kept: Path, edited: bool
) -> None:
    code = (
        "import os\nfrom pathlib import Path\nfrom winnow.commands import edited_params\n"
        f"edited_params.KEPT = Path({str(kept)!r})\n"
        f"with edited_params.changed_params({{'value.seed': 1000}}, Path({str(file)!r}), keep=False): os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 9
    assert read_params(file)["value"]["seed"] == 1000
    if edited:
        file.write_bytes(file.read_bytes() + b"# mine\n")
    expected = file.read_bytes() if edited else PARAMS
    restore_params(file)
    assert file.read_bytes() == expected
    assert not kept.exists()
    restore_params(file)
    assert file.read_bytes() == expected


def test_a_full_disk_leaves_the_params_as_they_were(file: Path) -> None:
    code = "from pathlib import Path; from winnow.commands.edited_params import changed_params\n"
    code += f"with changed_params({{'dataset.source': 'elsewhere'}}, Path({str(file)!r})): pass"
    done = on_a_full_disk([sys.executable, "-c", code], 1000)
    assert "no room to write" in done.stderr
    assert file.read_bytes() == PARAMS


def test_a_second_run_ends_at_once_and_names_the_first(tmp_path: Path) -> None:
    lock = tmp_path / "tmp/run.lock"
    code = f"from pathlib import Path; from winnow.commands.run import one_run\nwith one_run(Path({str(lock)!r})): "
    command = [sys.executable, "-c", code + "print('ready', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"
        with pytest.raises(UserError, match=f"another run is going on here, process {first.pid}; wait"), one_run(lock):
            pass
        first.kill()  # however it ends, the next one may start
    with one_run(lock):
        assert lock.read_text() == str(os.getpid())


def test_a_relative_source_counts_from_where_the_caller_stands() -> None:
    assert stored_source("x/y.zip", ROOT) == "x/y.zip"
    assert stored_source("y.zip", ROOT / "x") == "x/y.zip"
    assert stored_source("../y.zip", ROOT) == "../y.zip"
    assert stored_source("/x/y.zip", ROOT) == "/x/y.zip"
    assert stored_source(f"{ROOT}/x/../y.zip", ROOT / "docs") == "y.zip"  # others have it elsewhere


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("/data/x.zip", ""),
        ("x.zip", ""),
        ("../home/x.zip", ""),
        ("/homework/anna/x.zip", ""),
        ("/srv/people/anna/x.zip", "give it as ../x.zip from the repository, or copy it into"),
        ("/srv/people/anna/a b/x.zip", "give it as '../a b/x.zip' from the repository, or copy it into"),
        ("/home/berta/x.zip", "names a home directory, /home/berta/x.zip; copy it into the repository and `dvc add`"),
        ("/Users/berta/x.zip", "names a home directory, /Users/berta/x.zip; copy it into"),
        ("/tmp/../home/berta/x.zip", "names a home directory, /home/berta/x.zip; copy it into"),
    ],
)
def test_a_path_of_a_home_directory_is_told(source: str, told: str) -> None:
    home = Path("/srv/people/anna")
    said = home_warning(source, home, home / "winnow")
    assert (said == "") == (told == "")
    assert told in said


def test_the_root_as_home_says_nothing_of_whose_a_path_is() -> None:
    assert home_warning("/data/x.zip", Path("/"), Path("/winnow")) == ""


def test_a_list_that_another_key_repeats_is_changed_in_one_place(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("gate:\n  seeds: &seeds [0, 1]\ncompare:\n  seeds: *seeds\n")
    with changed_params({"compare.seeds": [0, 1, 2]}, file):
        pass
    assert read_params(file) == {"gate": {"seeds": [0, 1]}, "compare": {"seeds": [0, 1, 2]}}


@pytest.mark.parametrize(("seeds", "rounds"), [(0, 1), (1, 0), (10**9, 1), (1, 10**9)])
def test_so_many_seeds_or_rounds_are_refused(seeds: int, rounds: int) -> None:
    with pytest.raises(UserError, match=r"must be at least 1 and at most 1000, got \d+$"):
        requested_changes(
            Namespace(seeds=seeds, profile="quick", rounds=rounds, repeats=1, arms="method"), read_params()
        )


def test_rounds_follow_each_other_and_the_last_is_published(file: Path) -> None:
    with changed_params(unrolled(3), file):
        pass
    params = read_params(file)
    assert params["rounds"] == {
        "r1": {"input": "data/decided"},
        "r2": {"input": "data/r1/gate/dataset"},
        "r3": {"input": "data/r2/gate/dataset"},
    }
    assert params["refined"]["round"] == "r3"
    with changed_params(unrolled(1), file):
        pass
    assert read_params(file)["rounds"] == {"r1": {"input": "data/decided"}}


def test_overrides_are_made_again_and_checked_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = tmp_path / "overrides.csv"
    check_overrides(overrides)
    assert overrides.read_text() == "sample,action,label,by,note,time,hash\n"
    assert "overrides.csv was missing and is made again, empty" in capsys.readouterr().out
    overrides.write_text("sample,action,label,by,note\na,keep\n")
    check_overrides(overrides)
    assert capsys.readouterr().out == ""
    overrides.write_text("sample,action,label,by,note\na,hide\n")
    with pytest.raises(UserError, match=r"overrides\.csv, line 2: the action must be one of keep, drop, relabel, undo"):
        check_overrides(overrides)
    assert "a,hide" in overrides.read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cleanse_neighbours.k": 31}, "cleanse_neighbours.k is 31, but embed.neighbours is 30: no more are kept"),
        ({"cleanse_final.relabel": 2.0}, "cleanse_final.relabel must be at most 1.0, got 2.0"),
        ({"value.trajectories": 0}, "value.trajectories must be at least 1, got 0"),
        ({"value.trajectories": 3}, "value.trajectories must be a multiple of folds (2), got 3"),
        ({"value.sgd.momentum": 1.5}, "value.sgd.momentum must be below 1.0, got 1.5"),
        ({"value.sgd.learning_rate": float("inf")}, "value.sgd.learning_rate must be finite, got inf"),
        ({"value.sgd.nesterov": True, "value.sgd.momentum": 0.0}, "value.sgd.nesterov needs momentum above 0"),
        ({"value.views.zoom": 1.5}, "value.views.zoom must be below 1.0, got 1.5"),
        ({"synthesise.seed": -1}, "synthesise.seed must be at least 0, got -1"),
        ({"compare.seeds": [0, 0]}, "compare.seeds must name at least one seed, and each once, got [0, 0]"),
        (
            {"compare.arms.hydra affine": "data/r1/cleanse_influence/dataset"},
            "compare.arms has the name 'hydra affine', which becomes",
        ),
        ({"rounds.r2;": {"input": "data/r1/gate/dataset"}}, "rounds has the name 'r2;', which becomes"),
        ({"rounds.-r2": {"input": "data/r1/gate/dataset"}}, "begin with a letter or a digit"),
        ({"augment_inversion": {"r1": {"data": "x"}}}, "augment_inversion.r1 must have one key, dataset, got 'data'"),
        ({"augment_inversion": {"r 1": {"dataset": "data/prepared"}}}, "augment_inversion has the name 'r 1', which"),
        (
            {"augment_inversion": {"r1": {"dataset": "data/r2/augment/policy"}}},
            "augment_inversion.r1.dataset is data/r2/augment/policy, which no stage writes",
        ),
        (
            {"compare.arms.more": "data/r1/augment_inversion/dataset"},
            "compare.arms.more is data/r1/augment_inversion/dataset, which no stage writes",
        ),
        ({"train_encoder.dataset": "augment/policy"}, "train_encoder.dataset must be 'cleanse_influence/dataset' or"),
        ({"gate.accept": "never"}, "gate.accept must be 'measured', 'unless_worse' or 'always', got 'never'"),
        (
            {"rounds.refined": {"input": "data/r1/gate/dataset"}},
            "rounds has the name refined, but data/refined is another",
        ),
    ],
)
def test_params_that_a_stage_would_refuse_stop_before_anything_long(
    file: Path, changes: dict[str, object], said: str
) -> None:
    check_params(file)
    with changed_params(changes, file), pytest.raises(UserError, match=re.escape(said)):
        check_params(file)


def test_classes_that_cannot_be_augmented_stop_before_any_training(tmp_path: Path) -> None:
    enough, overrides = make_dataset(tmp_path / "enough", {"train": 6, "val": 3}), tmp_path / "overrides.csv"

    def say(rows: str) -> Path:
        overrides.write_text(f"sample,action,label,by,note\n{rows}")
        return overrides

    check_classes(enough, say(""))
    with pytest.raises(UserError, match="class iii has 1 training images; 2 are the least"):
        check_classes(make_dataset(tmp_path / "few", {"train": 5, "val": 3}), say(""))
    with pytest.raises(UserError, match=r"overrides\.csv, line 2: leaves 1 train image of class 'i', 2 must stay"):
        check_classes(enough, say("train/i/0.png,drop\n"))
    with pytest.raises(UserError, match=r"overrides\.csv, line 2: 'train/i/1.png' is no train or val image"):
        check_classes(enough, say("train/i/1.png,drop\n"))


@pytest.mark.parametrize(
    ("saved", "recorded", "unread", "again"),
    [(False, True, True, False), (True, True, True, True), (True, True, False, False), (True, False, True, False)],
)
def test_a_decision_that_dvc_recorded_unread_is_carried_out_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: bool, recorded: bool, unread: bool, again: bool
) -> None:
    """One that comes while everything runs, where dvc.lock says that it was read; any other is for the next run."""
    overrides, lock = tmp_path / "overrides.csv", tmp_path / "dvc.lock"
    overrides.write_text("a,drop\n")
    lock.write_text("")
    done: list[str] = []

    def dvc(*words: str) -> None:
        done.append(" ".join(words))
        if words == ("repro",) and saved and done.count("repro") == 1:
            overrides.write_text("a,drop\nb,drop\n")
            lock.write_text(hashlib.md5(overrides.read_bytes()).hexdigest() if recorded else "")

    def run_stages(names: Sequence[str], decisions: Path, *, remedy: str) -> list[str]:
        done.extend(names)
        return list(names) if unread else []

    for name, value in {"OVERRIDES": overrides, "LOCK": lock, "dvc": dvc, "changed_params": no_change}.items():
        monkeypatch.setattr(run, name, value)
    for name in ("check_params", "check_classes"):
        monkeypatch.setattr(run, name, lambda: None)
    monkeypatch.setattr("winnow.commands.stages_alone.run_stages", run_stages)
    run._run_once({}, {})
    assert done[:4] == ["repro prepare", "overrides", "repro decided", "repro"]
    assert done[4:] == ["overrides"] * (saved and recorded) + ["repro"] * again


def no_change(changes: Mapping[str, Any], keep: bool) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()
