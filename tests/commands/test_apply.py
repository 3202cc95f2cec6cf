"""Decisions carried on: into what a whole run starts from, and by the three stages that need no training."""

import contextlib
from pathlib import Path

import pytest

from tests.support.datasets import make_dataset
from winnow.commands.apply import main
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


def test_what_export_alone_did_is_a_change(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"one_run": contextlib.nullcontext, "taken_back": lambda: 2}.items():
        monkeypatch.setattr(f"winnow.commands.apply.{name}", value)
    for name in ("sweep_root", "check_merged", "check_lock", "check_overrides"):
        monkeypatch.setattr(f"winnow.commands.apply.{name}", lambda *_: None)
    for done, said in ((["export"], "`make run` measures what that gains"), ([], "nothing had changed")):
        monkeypatch.setattr("winnow.commands.apply.run_stages", lambda *_, done=done, **__: done)
        main("apply", [])
        printed = capsys.readouterr().out
        assert said in printed
        assert "2 images stay as people decided before the first round" in printed
        assert "`make run DECIDED=1` carries it out" in printed
