"""A folder that is there whole or not at all."""

import os
from pathlib import Path
from unittest import mock

import pytest

from winnow.pipeline.messages import UserError
from winnow.template.writing import whole_folder, write_texts


def test_a_new_folder_has_what_the_block_wrote_and_the_usual_mode(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a/b") as beside:
        write_texts(beside, {"x/y.txt": "text", "z": ""})
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a/b/x/y.txt").read_text() == "text"
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "a/b").stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert sorted(os.listdir(tmp_path)) == ["a", "usual"]


def test_an_empty_folder_stays_the_same_folder(tmp_path: Path) -> None:
    """A shell may be in it."""
    (tmp_path / "a").mkdir()
    before = (tmp_path / "a").stat().st_ino
    with whole_folder(tmp_path / "a") as beside:
        write_texts(beside, {"x": "text"})
    assert (tmp_path / "a").stat().st_ino == before
    assert (tmp_path / "a/x").read_text() == "text"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("there", [True, False])
def test_an_error_leaves_all_as_it_was(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "a").mkdir()
    before = os.listdir(tmp_path)

    def interrupted() -> None:
        with whole_folder(tmp_path / "a") as beside:
            write_texts(beside, {"x": "text"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == before
    assert not there or not os.listdir(tmp_path / "a")


def test_entries_that_were_moved_into_an_empty_folder_are_taken_back(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if target == tmp_path / "a/y":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    def filled() -> None:
        with mock.patch.object(Path, "rename", failing), whole_folder(tmp_path / "a") as beside:
            write_texts(beside, {"x": "", "y": ""})

    with pytest.raises(OSError, match="No space"):
        filled()
    assert not os.listdir(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]


def test_what_is_there_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, why in (("full", "is not empty"), ("file", "is no folder"), ("dangling", "is no folder")):
        with pytest.raises(UserError, match=why):
            whole_folder(tmp_path / name).__enter__()
    assert (tmp_path / "full/mine").read_text() == (tmp_path / "file").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file", "full"]
