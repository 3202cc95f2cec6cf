"""``winnow tour``: from the committed data to report, metrics and a repository to go on in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from bench.tour_data import CHANGED, MESSAGES
from tests.support.imports import ROOT
from tests.support.workspace import NOBODYS_SETTINGS
from winnow.commands import tour
from winnow.commands.tour import DATA, TARGETS, answer, prepare
from winnow.dataset.samples import read_samples
from winnow.pipeline.messages import UserError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of DVC's own
MOST_BYTES = 5_000_000  # in git


@pytest.fixture(scope="module")
def nobody() -> pytest.MonkeyPatch:
    monkeypatch = pytest.MonkeyPatch()
    for name, value in NOBODYS_SETTINGS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory, nobody: pytest.MonkeyPatch) -> tuple[Path, str]:
    """The tour's folder and what was printed."""
    above = tmp_path_factory.mktemp("tour")
    text, code = answer(["a tour"], above)
    assert code == 0
    assert os.listdir(above) == ["a tour"]
    return above / "a tour", text


def test_the_report_is_there(toured: tuple[Path, str]) -> None:
    folder, text = toured
    report = folder / "report/index.html"
    assert f"  {report}\n" in text
    assert report.read_text().startswith("<!doctype html>")


def test_both_commits_are_named_with_their_difference(toured: tuple[Path, str]) -> None:
    folder, text = toured
    for message in MESSAGES:
        assert message in text
    with Repo(str(folder)) as repo:
        changed = repo.params.diff(a_rev=tour.BEFORE, b_rev="HEAD")["diff"]["params.yaml"]
    assert {key: value["new"] for key, value in changed.items()} == CHANGED


def test_metrics_differ_and_are_shown(toured: tuple[Path, str]) -> None:
    folder, text = toured
    old = subprocess.run(
        ["git", "show", f"{tour.BEFORE}:metrics/refinement.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(old.stdout) != json.loads((folder / "metrics/refinement.json").read_text())
    assert "metrics/refinement.json" in text


def test_what_review_reads_is_there_and_whole(toured: tuple[Path, str]) -> None:
    folder, _ = toured
    for target in (DATA / TARGETS).read_text().split():
        assert (folder / target).exists(), target
    prepared = read_samples(folder / "data/prepared")
    assert 200 <= len(prepared) <= 1000
    assert {"data/prepared", "data/refined", "data/test", "report/index.html"} <= set(
        (DATA / TARGETS).read_text().split()
    )


def test_commands_work_in_it(toured: tuple[Path, str]) -> None:
    """As another process, whose repository is the one that it was started in."""
    folder, _ = toured
    named = read_samples(folder / "data/refined")["name"].to_pylist()[0]
    command = [sys.executable, "-m", "winnow", "why", named]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "now: in data/refined" in done.stdout


def test_a_tour_that_is_there_keeps_what_was_decided(toured: tuple[Path, str]) -> None:
    folder, _ = toured
    decided = (folder / "overrides.csv").read_text() + "train/i/0.png,drop,,mia,\n"
    (folder / "overrides.csv").write_text(decided)
    assert not prepare(folder)
    text, _ = answer([str(folder)], folder.parent)
    assert "It was there already" in text
    assert (folder / "overrides.csv").read_text() == decided


def test_the_data_is_small_and_names_no_place(toured: tuple[Path, str]) -> None:
    files = [file for file in DATA.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    assert not [file.name for file in files if "file://" in file.read_text(errors="ignore")]
    folder, _ = toured
    pin = (folder / "requirements.txt").read_text()
    assert "/" not in pin
    assert "winnow==" in pin


def test_without_the_data_it_says_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="comes with a clone of Winnow"):
        prepare(tmp_path / "tour", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_things_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        prepare(tmp_path)
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_damaged_remote_leaves_nothing(tmp_path: Path, nobody: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    subprocess.run(["cp", "-r", str(DATA), str(data)], check=True)
    largest = max((data / "remote").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    largest.write_bytes(largest.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"damaged|not whole"):
        prepare(tmp_path / "tour", data)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
