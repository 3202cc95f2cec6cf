"""``dvc gc`` as docs/sharing.md advises it: nothing that a commit names is lost, where DVC's shorter forms lose it."""

import re
from pathlib import Path

import pytest

from tests.support.imports import ROOT
from tests.support.shell import commit_all, new_repository, shell

CACHE, TEAM = Path(".dvc/cache/files/md5"), Path("../team/files/md5")
SOURCE = Path("mine.zip")


def advised(beginning: str) -> str:
    """The commands of a row of the table, one after the other."""
    (row,) = re.findall(rf"^\| {re.escape(beginning)}[^|]*\| (.*) \|$", (ROOT / "docs/sharing.md").read_text(), re.M)
    commands = re.findall(r"`((?:make|dvc|git) [^`]*)`", row.split(":")[0])
    assert commands
    return " && ".join(commands).replace("make pu", "winnow pu").replace("dvc gc", "dvc gc --force")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source in three versions, of an older commit, another branch and a newer commit; and one of no commit."""
    new_repository(tmp_path / "here", monkeypatch)
    # Absolute: DVC takes a relative path in an older commit's configuration from the root of the file system.
    assert shell(f"dvc remote add --quiet --default team {tmp_path}/team") == 0
    version(b"older")
    commit_all()
    assert shell("git switch --quiet --create other") == 0
    version(b"branch")
    commit_all()
    assert shell("git switch --quiet main") == 0
    version(b"abandoned")
    version(b"newer")
    commit_all()
    return tmp_path / "here"


def version(content: bytes) -> None:
    SOURCE.write_bytes(content)
    assert shell(f"dvc add --quiet {SOURCE}") == 0


def held(store: Path) -> set[bytes]:
    return {path.read_bytes() for path in store.rglob("*") if path.is_file()}


def bring_back(revision: str) -> bytes:
    """The source of a commit, from the remote or the cache."""
    assert shell(f"git checkout --quiet {revision} && winnow pull") == 0
    return SOURCE.read_bytes()


def test_what_a_shorter_form_loses(here: Path) -> None:
    """Why it is not advised: nothing can compute an older source again."""
    assert shell("dvc gc --force --quiet --workspace --all-branches") == 0
    assert held(CACHE) == {b"newer", b"branch"}
    assert shell("dvc gc --force --quiet --workspace") == 0
    assert held(CACHE) == {b"newer"}


def test_what_no_commit_names_is_freed(here: Path) -> None:
    assert held(CACHE) == {b"older", b"branch", b"abandoned", b"newer"}
    assert shell(advised("free this machine's disk of what no commit names")) == 0
    assert held(CACHE) == {b"older", b"branch", b"newer"}


def test_not_in_remote_alone_deletes_what_was_never_pushed(here: Path) -> None:
    """Why ``--all-commits`` stands beside it."""
    assert shell("winnow push && dvc gc --force --quiet --workspace --not-in-remote") == 0
    assert held(CACHE) | held(TEAM) == {b"newer"}


def test_what_the_remote_has_is_freed_and_comes_back(here: Path) -> None:
    assert shell(advised("free it of what the remote has too")) == 0
    assert held(TEAM) == {b"older", b"branch", b"newer"}
    assert held(CACHE) == {b"newer"}  # fetched again, so that the next run finds it
    assert shell("dvc status --quiet") == 0
    assert bring_back("main~1") == b"older"
    assert bring_back("other") == b"branch"


def test_the_remote_keeps_what_other_clones_commit(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell("dvc push --quiet --all-commits") == 0
    SOURCE.write_bytes(b"abandoned there")
    assert shell(f"dvc add --quiet {SOURCE} && dvc push --quiet && git checkout --quiet . && dvc checkout --quiet") == 0
    assert b"abandoned there" in held(TEAM)
    assert shell("git clone --quiet . ../there") == 0
    monkeypatch.chdir(tmp_path / "there")
    assert shell(advised("free the remote of what no commit names")) == 0
    assert held(TEAM) == {b"older", b"branch", b"newer"}
