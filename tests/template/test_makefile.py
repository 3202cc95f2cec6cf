"""The Makefile of a repository of one's own."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.imports import ROOT
from winnow.template.makefile import own_makefile

TEXT = (ROOT / "Makefile").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Makefile").write_text(own_makefile(TEXT))
    return tmp_path


def made(folder: Path, *words: str) -> str:
    plain = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", *words], cwd=folder, env=plain, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_has_the_targets_that_run_a_command_of_winnow(folder: Path) -> None:
    wanted = {name for name in re.findall(r"^\t.*-m winnow ([a-z]+) ", TEXT, re.MULTILINE) if name != "tour"}
    listed = {line.split()[0] for line in made(folder).splitlines()}
    assert {"run", "reproduce", "push", "pull", "fsck"} <= listed
    assert wanted - {"diff"} <= listed  # compare runs winnow diff
    assert not {"tour", "test", "check", "lock", "bench", "clean"} & listed


def test_its_targets_need_nothing_but_the_environment(folder: Path) -> None:
    for target in ("run", "reproduce", "compare", "push", "pull", "fsck"):
        assert "-m winnow " in made(folder, "-n", target)


def test_a_value_reaches_the_command_as_it_was_written(folder: Path) -> None:
    given = "my [own] photo's $(x).zip"
    assert "-m winnow run --source='my [own] photo'\\''s $(x).zip'" in made(folder, "-n", "run", f"SOURCE={given}")


def test_the_folders_own_environment_comes_first(folder: Path) -> None:
    assert made(folder, "-n", "push").startswith("python -m winnow push")
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").touch()
    assert made(folder, "-n", "push").startswith(".venv/bin/python -m winnow push")
