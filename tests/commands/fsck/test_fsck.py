"""``winnow fsck``: what is broken is named, and the command that it advises mends it."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.fsck import (
    CACHE,
    MANY,
    METRIC,
    MISSING,
    OTHER,
    SET,
    SOURCE,
    TABLE,
    THREE,
    Fsck,
    both,
    cut,
    each,
    instead,
    list_of,
    remedy,
    remove,
    spoil,
    stored,
    write,
)
from tests.support.shell import new_repository, shell


def test_a_sound_repository(here: Path, fsck: Fsck) -> None:
    (SET / "scratch.tmp").touch()  # .dvcignore names it
    code, lines = fsck("--remote --verify")
    assert code == 0
    (line,) = lines
    # Three outputs in the cache: a table, a source, a list with seven files.
    assert re.fullmatch(r"fsck: all sound \(5 outputs, 10 objects, 0\.0 MB read; remote 'team' compared\)", line)


LOCAL: dict[str, tuple[Callable[[], None], str, str]] = {  # by fault: how it is made, its line, the remedy's start
    "file gone": (lambda: remove(TABLE), f"a table (file): {MISSING}", "dvc checkout 'a table'"),
    "file edited": (lambda: write(TABLE), f"a table (file): {OTHER}", "rm -rf 'a table' && dvc checkout"),
    "file rotten": (lambda: spoil(TABLE), f"a table (file): {OTHER}", "rm -rf 'a table' && dvc checkout"),
    "a folder for a file": (
        lambda: instead(TABLE),
        f"a table (file): {OTHER}",
        "rm -rf 'a table' && dvc checkout",
    ),
    "object gone": (lambda: remove(stored(TABLE)), "a table (file): missing in the cache", "winnow fsck --repair"),
    "object rotten": (lambda: spoil(stored(TABLE)), "a table (file): damaged in the cache", "winnow fsck --repair"),
    "object cut": (
        lambda: cut(stored(TABLE)),
        "a table (file): damaged in the cache",
        "winnow fsck --repair",
    ),
    "folder gone": (lambda: remove(SET), f"set/r1 (folder@r1): {MISSING}", "dvc checkout set/r1"),
    "a file for a folder": (
        lambda: instead(SET),
        f"set/r1 (folder@r1): {OTHER}",
        "rm -rf set/r1 && dvc checkout",
    ),
    "member gone": (lambda: remove(THREE), f"set/r1/in/3 (folder@r1): {MISSING}", "dvc checkout set/r1/in/3"),
    "member rotten": (lambda: spoil(THREE), f"set/r1/in/3 (folder@r1): {OTHER}", "rm -rf set/r1/in/3 && dvc checkout"),
    "member added": (
        lambda: write(SET / "in/new"),
        "set/r1/in/new (folder@r1): in the workspace, but not among the files that dvc.lock names of set/r1",
        "rm -f set/r1/in/new",
    ),
    "member's object gone": (
        lambda: remove(stored(THREE)),
        "set/r1/in/3 (folder@r1): missing in the cache",
        "winnow fsck --repair",
    ),
    "list gone": (
        lambda: remove(list_of()),
        "set/r1 (folder@r1): the list of its files is missing in the cache",
        "winnow fsck --repair",
    ),
    "list rotten": (
        lambda: spoil(list_of()),
        "set/r1 (folder@r1): the list of its files is damaged in the cache",
        "winnow fsck --repair",
    ),
    "many members gone": (
        lambda: each(remove, *SET.glob("in/*")),
        f"set/r1 (folder@r1): 7 of its files: {MISSING}",
        "dvc checkout set/r1",
    ),
    "metric edited": (lambda: write(METRIC), f"metric.json (metric): {OTHER}", "rm -rf metric.json && git checkout"),
    "metrics in a folder": (lambda: write(MANY / "2"), f"many (metric): {OTHER}", "rm -rf many && git checkout"),
}


@pytest.mark.parametrize("fault", LOCAL)
def test_what_the_other_copy_mends(alone: Path, fsck: Fsck, fault: str) -> None:
    make, expected, start = LOCAL[fault]
    make()
    code, lines = fsck()
    assert code == 1
    line, closing = lines
    assert line.startswith(f"{expected}")
    assert closing.startswith("fsck: 1 wrong")
    assert remedy(line).startswith(start)
    assert shell(remedy(line)) == 0
    assert fsck()[0] == 0


LOST: dict[str, tuple[Callable[[], None], str]] = {  # nothing here has it: how, and its path
    "file rotten": (lambda: both(spoil, TABLE), "a table"),
    "file gone": (lambda: both(remove, TABLE), "a table"),
    "member rotten": (lambda: both(spoil, THREE), "set/r1/in/3"),
    "member gone": (lambda: both(remove, THREE), "set/r1/in/3"),
    "list and folder": (lambda: each(spoil, list_of(), THREE), "set/r1"),
    "folder and an object": (lambda: each(remove, stored(THREE), SET), "set/r1"),
    "many members": (lambda: each(lambda file: both(spoil, file), *SET.glob("in/*")), "set/r1"),
}


def only_line(fsck: Fsck, fault: str) -> str:
    """The one line about a fault of ``LOST``, which this makes."""
    make, path = LOST[fault]
    make()
    code, lines = fsck()
    assert code == 1
    assert len(lines) == 2
    assert lines[0].startswith(f"{path} (")
    return lines[0]


@pytest.mark.parametrize("fault", LOST)
def test_what_the_remote_mends(here: Path, fsck: Fsck, fault: str) -> None:
    line = only_line(fsck, fault)
    assert "winnow pull" in remedy(line)
    assert shell(remedy(line)) == 0
    assert fsck("--remote")[0] == 0


@pytest.mark.parametrize("fault", LOST)
def test_what_only_its_stage_mends(alone: Path, fsck: Fsck, fault: str) -> None:
    line = only_line(fsck, fault)
    assert remedy(line).startswith("winnow fsck --repair; ") == ("gone" not in fault and "an object" not in fault)
    assert "dvc repro" in remedy(line)
    assert shell(remedy(line)) == 0
    assert fsck()[0] == 0
    assert shell("git diff --quiet -- dvc.lock") == 0


def test_dvc_itself_hands_damage_on(alone: Path, fsck: Fsck) -> None:
    """Why a remedy takes the damaged object out of the cache first."""
    spoil(stored(TABLE))
    assert shell("dvc status --quiet && dvc repro --quiet") == 0
    remove(TABLE)
    assert shell("dvc repro --quiet file") == 0
    assert TABLE.read_bytes() != b"table"
    assert fsck()[0] == 1


def test_a_source_that_is_lost_or_edited(alone: Path, fsck: Fsck) -> None:
    write(SOURCE, b"edited")
    (line, _) = fsck()[1]
    assert line.startswith(f"mine.zip (mine.zip.dvc): {OTHER}")
    assert line.endswith("(what is there now is lost; `dvc add mine.zip` keeps it)")
    object_ = stored_bytes(b"source")
    spoil(object_)
    (line, _) = fsck()[1]
    assert line.endswith("`winnow fsck --repair; dvc add mine.zip` records what is there now")
    SOURCE.unlink()
    (line, _) = fsck()[1]
    assert line.endswith("`winnow fsck --repair; dvc add mine.zip` once it was put back there")
    write(SOURCE, b"source")
    spoiled = object_.read_bytes()
    assert shell(remedy(line)) == 0
    assert fsck()[0] == 0
    assert object_.read_bytes() == b"source"
    assert [path.read_bytes() for path in Path(".dvc/tmp/damaged").iterdir()] == [spoiled]  # nothing is thrown away


def stored_bytes(content: bytes) -> Path:
    md5 = hashlib.md5(content).hexdigest()
    return CACHE / md5[:2] / md5[2:]


def test_repair_says_what_it_did(alone: Path, fsck: Fsck) -> None:
    spoil(stored(TABLE))
    remove(stored(THREE))
    both(spoil, SET / "in/4")
    code, lines = fsck("--repair")
    assert code == 1
    assert lines[:2] == [
        "repaired: 2 damaged objects moved out of the cache to .dvc/tmp/damaged; delete it at will",
        "repaired: 2 objects copied from the workspace into the cache",
    ]
    assert lines[2].startswith(f"set/r1/in/4 (folder@r1): {OTHER}")
    assert stored(TABLE).read_bytes() == b"table"
    assert stored(TABLE).stat().st_mode & 0o777 == 0o444


def test_two_outputs_of_one_content_mend_each_other(alone: Path, fsck: Fsck) -> None:
    shutil.copytree(SET, "twin")
    assert shell("dvc add --quiet twin") == 0
    both(spoil, THREE)
    code, lines = fsck()
    assert code == 1
    (line, _) = lines
    assert remedy(line) == "winnow fsck --repair; rm -rf set/r1/in/3 && dvc checkout set/r1/in/3"
    assert shell(remedy(line)) == 0
    assert fsck()[0] == 0


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_a_cache_whose_files_are_linked(alone: Path, fsck: Fsck, kind: str) -> None:
    assert shell(f"dvc config --local cache.type {kind} && dvc checkout --quiet --relink") == 0
    assert TABLE.is_symlink() or TABLE.stat().st_nlink == 2
    assert fsck()[0] == 0
    spoil(stored(TABLE))  # and so the workspace's file, which is the same
    code, lines = fsck()
    assert code == 1
    (line, _) = lines
    assert line.startswith(f"a table (file): {OTHER} (changed by hand, or damaged), damaged in the cache")
    assert shell(remedy(line)) == 0
    assert fsck()[0] == 0
    remove(stored(THREE))
    (line, _) = fsck()[1]
    assert shell(remedy(line)) == 0
    assert fsck()[0] == 0


def test_what_cannot_be_checked(here: Path, fsck: Fsck, tmp_path: Path) -> None:
    assert fsck("--remote nobody") == (2, ["fsck: config file error: remote 'nobody' doesn't exist"])
    assert fsck("--verify")[0] == 2
    Path("dvc.lock").unlink()
    code, (line,) = fsck()
    assert code == 2
    assert remedy(line) == "git checkout dvc.lock"
    assert shell(remedy(line)) == 0
    assert fsck()[0] == 0
    os.chdir(tmp_path)
    code, (line,) = fsck()
    assert code == 2
    assert "not inside of a DVC repository" in line


def test_nothing_recorded_and_not_made_yet(
    here: Path, fsck: Fsck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = yaml.safe_load(Path("dvc.yaml").read_text())
    pipeline["stages"]["later"] = {"cmd": "true", "outs": ["later"]}
    Path("dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    code, (line,) = fsck()
    assert code == 0
    assert "1 outputs were not made yet" in line
    new_repository(tmp_path / "new", monkeypatch)
    assert fsck() == (2, ["fsck: dvc.lock names no output; `make run` makes them"])
