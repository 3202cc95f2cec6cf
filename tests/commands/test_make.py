"""What make passes on: values as they were written, never expanded and never run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.imports import ROOT

# Stands for the virtual environment's Python: writes its arguments down.
RECORDER = """#!{python}
import json, pathlib, sys
with open({record!r}, "a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
"""
HOSTILE = [
    "$(shell touch ran)y.zip",
    "my$dir.zip",
    "$$HOME/`touch ran`",
    "it's; touch ran",
    'a "b" \\ c',
    "--help",
    "a, b (c) # d",
    "$(error no)",
]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the Makefile, whose requirements count as installed."""
    folder = tmp_path / "a clone"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("Makefile", "requirements.txt", "requirements-remote.txt", "pyproject.toml"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    python = folder / ".venv/bin/python"
    python.write_text(RECORDER.format(python=sys.executable, record=str(folder / "record")))
    python.chmod(0o755)
    for stamp in (".installed", ".installed-remote"):
        (folder / ".venv" / stamp).touch()
    return folder


def passed(clone: Path, *words: str, **environment: str) -> list[list[str]]:
    """The arguments of every command that make ran; make must end well."""
    (clone / "record").write_text("")
    done = subprocess.run(
        ["make", *words], cwd=clone, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (clone / "record").read_text().splitlines()]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_source_is_passed_on_as_it_was_written(clone: Path, value: str) -> None:
    expected = [["-m", "winnow", "run", f"--source={value}"]]
    assert passed(clone, "run", f"SOURCE={value}") == expected
    assert passed(clone, "run", SOURCE=value) == expected
    assert not (clone / "ran").exists()


@pytest.mark.parametrize("value", HOSTILE)
def test_so_are_the_other_values(clone: Path, value: str) -> None:
    given = [
        f"{name}={value}"
        for name in ("PRESET", "SEEDS", "PROFILE", "ROUNDS", "ARMS", "REMOTE", "TARGETS", "REV", "DATASET")
    ]
    options = [f"--{name}={value}" for name in ("preset", "seeds", "profile", "rounds", "arms")]
    assert passed(clone, "run", *given) == [["-m", "winnow", "run", f"--preset={value}"]]
    assert passed(clone, "reproduce", *given) == [["-m", "winnow", "reproduce", *options]]
    assert passed(clone, "push", *given) == [["-m", "winnow", "push", f"--remote={value}", f"--targets={value}"]]
    assert passed(clone, "fsck", *given) == [["-m", "winnow", "fsck", f"--remote={value}"]]
    assert passed(clone, "compare", *given) == [
        ["-m", "winnow.commands.site_cache"],
        ["-m", "dvc", "metrics", "diff", "--precision", "4", "--", value],
        ["-m", "winnow", "diff", f"--dataset={value}", "--", value],
    ]
    assert not (clone / "ran").exists()


def test_without_values_there_are_no_options(clone: Path) -> None:
    assert passed(clone, "run") == [["-m", "winnow", "run"]]
    assert passed(clone, "pull") == [["-m", "winnow", "pull"]]
    assert passed(clone, "fsck") == [["-m", "winnow", "fsck"]]
    assert passed(clone, "compare")[-1] == ["-m", "winnow", "diff", "--", "main"]


def test_switches_are_set_by_any_value(clone: Path) -> None:
    assert passed(clone, "push", "VERIFY=1") == [["-m", "winnow", "push", "--verify"]]
    options = ["--remote=team", "--verify", "--repair"]
    assert passed(clone, "fsck", "REMOTE=team", "VERIFY=1", "REPAIR=1") == [["-m", "winnow", "fsck", *options]]


def test_a_line_break_is_rejected(clone: Path) -> None:
    command = ["make", "run", "SOURCE=a\ntouch ran"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert "SOURCE must not hold a line break" in done.stderr
    assert not (clone / "ran").exists()
