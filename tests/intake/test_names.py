"""Names inside a source: their limits, and which are hidden."""

import tracemalloc
from pathlib import Path

import pytest

from tests.support.sources import contents, make_folder, make_zip
from tests.support.sources import refused_container as refused
from winnow.intake import names as names_module
from winnow.intake import zipped as zipped_module
from winnow.intake.container import open_container

# --- limits ---------------------------------------------------------------------------------------------------------


def deep_folder(root: Path, depth: int) -> Path:
    """A folder below which others lie, one in the other; made one by one, since pathlib makes them recursively."""
    path = root
    path.mkdir()
    for _ in range(depth):
        path = path / "d"
        path.mkdir()
    (path / "1.png").write_bytes(b"x")
    return root


def remove_deep(root: Path) -> None:
    path = root
    while (path / "d").is_dir():
        path = path / "d"
    (path / "1.png").unlink()
    while path != root.parent:
        path.rmdir()
        path = path.parent


def test_folders_that_lie_too_deep(tmp_path: Path) -> None:
    root = deep_folder(tmp_path / "folder", 1500)
    try:
        message = refused(root)
    finally:
        remove_deep(root)  # else pytest could not: shutil removes recursively
    archive = make_zip(tmp_path / "packed.zip", {"d/" * 64 + "1.png": b"x"})
    for told in (message, refused(archive)):
        assert told.endswith("lies more than 63 folders deep; move it further up")
    assert len(contents(make_zip(tmp_path / "allowed.zip", {"d/" * 63 + "1.png": b"x"}))) == 1
    assert len(contents(deep_folder(tmp_path / "allowed", 63))) == 1


def test_names_that_are_too_long(tmp_path: Path) -> None:
    name = "/".join(["é" * 120] * 4)
    folder = make_folder(tmp_path / "folder", {f"{name}/{'x' * 60}": b"", "1.png": b""})
    long = f"{name}/{'x' * 61}"
    assert len(long.encode()) == 1025
    assert "has 1,025 bytes, 1,024 are allowed; shorten it" in refused(make_zip(tmp_path / "packed.zip", {long: b""}))
    assert len(contents(folder)) == 2
    make_folder(folder, {long: b""})
    assert "has 1,025 bytes, 1,024 are allowed; shorten it" in refused(folder)


def test_a_name_as_long_as_a_zip_allows_takes_no_memory(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "packed.zip", {"a/" * 32_000 + "1.png": b"x"})
    tracemalloc.start()
    message = refused(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "has 64,005 bytes" in message
    assert peak < 10_000_000


def test_too_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_module, "MAX_NAMES", 3)
    monkeypatch.setattr(zipped_module, "MAX_NAMES", 3)
    for make in (make_folder, make_zip):
        told = refused(make(tmp_path / make.__name__, {f"{n}.png": b"" for n in range(4)}))
        assert told.endswith("holds more than 3 files and folders; give a part of them as the source")
        assert len(contents(make(tmp_path / f"{make.__name__}2", {"a/1.png": b"", "a/2.png": b""}))) == 2
    monkeypatch.setattr(zipped_module, "MAX_DIRECTORY_BYTES", 100)
    many = make_zip(tmp_path / "many.zip", {f"{n}.png": b"" for n in range(3)})
    assert "list of entries has 153 bytes, 100 are allowed; unpack it yourself" in refused(many)


# --- what is hidden -------------------------------------------------------------------------------------------------


def test_hidden_folders_with_images_are_noted_and_clutter_is_not(tmp_path: Path) -> None:
    hidden = [".net/1.png", "train/.net/2.JPG", "a/b/.c/3.png"]
    others = [
        ".net/deep/1.png",
        ".notes/1.txt",
        ".git/1.png",
        "._a/1.png",
        ".a/.b/1.png",
        "__MACOSX/.a/1.png",
        ".1.png",
    ]
    seen = {"train/a/1.png": b"one", "read me.txt": b"three"}
    files = seen | dict.fromkeys([*hidden, *others], b"x")
    for path in (make_folder(tmp_path / "folder", files), make_zip(tmp_path / "packed.zip", files)):
        container = open_container(path)
        assert container.hidden == {".net", "train/.net", "a/b/.c"}
        assert container.files.keys() == seen.keys()
        container.close()
