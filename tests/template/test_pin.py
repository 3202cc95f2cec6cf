"""The line that installs the present Winnow again."""

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.support.imports import ROOT
from winnow.template.pin import constraints, is_of_this_machine, pinned_winnow, uncommitted, unpublished

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    done = subprocess.run(["git", *author, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a project of this name, with one commit."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "winnow"\nversion = "9.8.7"\n')
    (tmp_path / "winnow").mkdir()
    (tmp_path / "winnow/code.py").touch()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "test")
    return tmp_path


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://example.org/a/winnow.git", "https://example.org/a/winnow.git"),
        ("https://me:secret@example.org/winnow", "https://example.org/winnow"),
        ("git@example.org:a/winnow.git", "ssh://git@example.org/a/winnow.git"),
        ("ssh://git@example.org:22/winnow", "ssh://git@example.org:22/winnow"),
    ],
)
def test_a_clone_is_pinned_to_its_commit_where_it_came_from(clone: Path, origin: str, address: str) -> None:
    git(clone, "remote", "add", "origin", origin)
    head = git(clone, "rev-parse", "HEAD")
    assert pinned_winnow(remote=False, code=clone) == f"winnow @ git+{address}@{head}"
    assert not is_of_this_machine(pinned_winnow(remote=False, code=clone))


def test_a_clone_without_an_origin_is_pinned_where_it_is(clone: Path) -> None:
    pin = pinned_winnow(remote=True, code=clone)
    assert pin == f"winnow[remote] @ git+{clone.as_uri()}@{git(clone, 'rev-parse', 'HEAD')}"
    assert is_of_this_machine(pin)


def test_a_source_tree_without_git_is_pinned_to_its_version(clone: Path) -> None:
    (clone / ".git").rename(clone / "git")
    assert pinned_winnow(remote=False, code=clone) == "winnow==9.8.7"
    assert not uncommitted(clone)


def test_changes_that_no_commit_has_are_seen(clone: Path) -> None:
    assert not uncommitted(clone)
    (clone / "winnow/code.py").write_text("x = 1\n")
    assert uncommitted(clone)


def test_a_commit_that_the_origin_lacks_is_seen(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert not unpublished(clone)  # it has no origin, and the pin says so
    for name in ("origin", "fork"):
        git(clone, "init", "--quiet", "--bare", str(tmp_path_factory.mktemp(name)))
        git(clone, "remote", "add", name, str(tmp_path_factory.getbasetemp() / f"{name}0"))
    git(clone, "push", "--quiet", "fork", "HEAD")
    assert unpublished(clone)  # the pin leads to origin
    git(clone, "push", "--quiet", "origin", "HEAD")
    assert not unpublished(clone)
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "mine")
    assert unpublished(clone)


@pytest.mark.parametrize(
    ("recorded", "pin"),
    [
        (None, "winnow==9.8.7"),
        (
            {"url": "https://e.org/w.git", "vcs_info": {"commit_id": COMMIT}},
            f"winnow @ git+https://e.org/w.git@{COMMIT}",
        ),
        (
            {"url": "https://u:p@e.org/w.whl", "archive_info": {"hashes": {"sha256": "ab12"}}},
            "winnow @ https://e.org/w.whl#sha256=ab12",
        ),
        ({"url": "file:///w", "dir_info": {}}, "winnow @ file:///w"),
    ],
)
def test_a_package_is_pinned_to_what_pip_recorded(tmp_path: Path, recorded: Any, pin: str) -> None:
    distribution = mock.Mock()
    distribution.read_text.return_value = recorded and json.dumps(recorded)
    with (
        mock.patch.object(metadata, "distribution", return_value=distribution),
        mock.patch.object(metadata, "version", return_value="9.8.7"),
    ):
        assert pinned_winnow(remote=False, code=tmp_path) == pin


def test_constraints_have_every_package_once_and_no_hash() -> None:
    texts = [(ROOT / f"requirements{part}.txt").read_text() for part in ("", "-remote")]
    lines = constraints(*texts).splitlines()[1:]
    assert any(line.startswith("torch==") for line in lines)
    assert any(line.startswith("dvc-s3==") for line in lines)
    assert not [line for line in lines if "--hash" in line or line.startswith(("#", " ")) or "==" not in line]
    entries = {line.split(" \\")[0].rstrip() for text in texts for line in text.splitlines() if line[:1].isalnum()}
    assert set(lines) == entries
    assert len(lines) == len(set(lines))
