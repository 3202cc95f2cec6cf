"""What killed commands left at the root is removed, and nothing that a living one is writing."""

import os
import threading
from pathlib import Path

import pytest

from winnow.commands.leftovers import sweep_root
from winnow.verdicts.decision_rows import DecisionRow, read_decision_rows
from winnow.verdicts.decisions_file import append_decision

HEAD = "sample,action,label,by,note\n"


def test_what_was_left_of_the_files_of_the_root_is_removed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    for folder in (root, elsewhere):
        folder.mkdir()
    (elsewhere / "mine.csv").write_text(HEAD)
    (root / "overrides.csv").symlink_to(elsewhere / "mine.csv")
    left = [root / f".{name}.0badcafe.partial" for name in ("params.yaml", "dvc.lock", "decided.csv", "checked.csv")]
    left.append(elsewhere / ".mine.csv.0badcafe.partial")
    for file in (*left, root / ".theirs.csv.0badcafe.partial"):
        file.touch()
    sweep_root(root)
    assert [file.name for file in tmp_path.rglob("*.partial")] == [".theirs.csv.0badcafe.partial"]
    assert (elsewhere / "mine.csv").read_text() == HEAD


@pytest.mark.parametrize("name", ["overrides.csv", "checked.csv"])
def test_a_decision_that_is_being_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_text(HEAD)
    replace = os.replace
    sweeper = threading.Thread(target=sweep_root, args=[tmp_path])

    def replace_late(beside: Path, path: Path) -> None:
        sweeper.start()
        sweeper.join(0.3)  # it waits for the lock, or has done its harm by then
        replace(beside, path)

    monkeypatch.setattr("winnow.pipeline.durable.os.replace", replace_late)
    append_decision(tmp_path / name, DecisionRow(0, "train/i/0.png", "keep"))
    sweeper.join()
    assert [row.sample for row in read_decision_rows(tmp_path / name)] == ["train/i/0.png"]
