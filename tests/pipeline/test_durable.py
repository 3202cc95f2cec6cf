"""Writes under losses of power at each of their calls, two writers at once, links and modes."""

import contextlib
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.disk import ForgetfulDisk
from winnow.commands.checks import check_overrides
from winnow.commands.edited_params import changed_params
from winnow.dataset.arrays import write_rows
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import samples_table
from winnow.pipeline import durable
from winnow.pipeline.durable import sweep, sync_file_system, sync_folder
from winnow.pipeline.files import pass_on, write_array, write_bytes, write_csv, write_json, write_table

PARAMS = b"# what people wrote\na: {b: 1}\n"


def change_params(file: Path) -> None:
    with changed_params({"a.b": 2}, file):
        pass


def restore_params(file: Path) -> None:
    with contextlib.suppress(ValueError), changed_params({"a.b": 2}, file):
        raise ValueError("the run failed")


def rewrite(file: Path) -> None:
    write_bytes(file, file.read_bytes() + b"train/a/1.png,drop,,me,\n")


WRITES: dict[str, tuple[Callable[[Path], None], bytes | None]] = {
    "bytes": (lambda file: write_bytes(file, b"new"), b"old"),
    "bytes, a new file": (lambda file: write_bytes(file, b"new"), None),
    "json": (lambda file: write_json(file, {"a": 1}), b"{}"),
    "csv": (lambda file: write_csv(file, ["a"], [[1]]), b"a\n"),
    "table": (lambda file: write_table(file, pa.table({"a": [1, 2]})), b"old"),
    "array": (lambda file: write_array(file, np.arange(9)), b"old"),
    "a row more of overrides.csv": (rewrite, b"sample,action,label,by,reason\n"),
    "overrides.csv, which was missing": (check_overrides, None),
    "params.yaml": (change_params, PARAMS),
    "params.yaml and back": (restore_params, PARAMS),
}


@pytest.mark.parametrize("kind", WRITES)
def test_a_loss_of_power_leaves_the_old_or_the_new_file(tmp_path: Path, kind: str) -> None:
    write, old = WRITES[kind]

    def on_disk(number: int) -> tuple[ForgetfulDisk, Path]:
        root = tmp_path / str(number)
        file = root / ("data/r1/file" if old is None else "file")
        root.mkdir()
        if old is not None:
            file.write_bytes(old)
        disk = ForgetfulDisk(root, loss_at=number)
        with disk.mounted():
            write(file)
        return disk, file

    whole, file = on_disk(-1)
    place, new = file.relative_to(whole.root).as_posix(), file.read_bytes()
    between = new if kind != "params.yaml and back" else PARAMS.replace(b"1", b"2")
    assert [world.get(place) for world in whole.worlds] == [new, new]
    assert whole.calls >= 4  # a new file, its sync, its change of place, and the sync of the folder
    found = [world.get(place) for number in range(whole.calls) for world in on_disk(number)[0].worlds]
    assert set(found) <= {old, new, between}
    assert old in found
    assert between in found


def test_the_disk_forgets_what_is_written_without_a_sync(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    disk = ForgetfulDisk(tmp_path)
    with disk.mounted():
        (tmp_path / ".file.partial").write_bytes(b"new")
        os.replace(tmp_path / ".file.partial", tmp_path / "file")
    assert [world.get("file") for world in disk.worlds] == [b"old", b""]


ONE = samples_table([{"id": "a1", "name": "train/a/1.png", "split": "train", "label": "a", "given_label": "a"}], ["a"])


def one_dataset(folder: Path) -> None:
    write_dataset(folder, ONE, images=[("a1", encode_png(np.zeros((4, 4, 1), np.uint8)))])
    write_rows(folder / "features/augment", [(["a1"], np.zeros((1, 3), np.float16))])


def passed_on(folder: Path) -> None:
    one_dataset(folder.parent / "before")
    write_dataset(folder, ONE, shards_from=[folder.parent / "before"])


def many_files(folder: Path) -> None:
    for number in range(100):
        write_bytes(folder / f"train/class_{number % 3}/{number}.png", bytes([number]), sync=False)
    sync_folder(folder)


def test_a_folder_is_on_the_disk_when_it_is_finished(tmp_path: Path) -> None:
    for number, write in enumerate((one_dataset, passed_on, many_files)):
        root = tmp_path / str(number)
        root.mkdir()
        disk = ForgetfulDisk(root)
        with disk.mounted():
            write(root / "data/r1/out")
        there = {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}
        assert disk.worlds == [there, there]


def test_many_files_are_synced_at_once_and_one_by_one_where_the_system_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sync_file_system(tmp_path) == (sys.platform == "linux")
    monkeypatch.setattr(durable, "REPORTING", (999, 0))
    assert not sync_file_system(tmp_path)
    disk = ForgetfulDisk(tmp_path)
    with disk.mounted(), monkeypatch.context() as here:
        here.setattr(durable, "sync_file_system", lambda _: False)
        many_files(tmp_path / "out")
    assert [len(world) for world in disk.worlds] == [100, 100]


def test_one_of_many_files_is_not_synced_by_itself(tmp_path: Path) -> None:
    disk = ForgetfulDisk(tmp_path)
    with disk.mounted():
        write_bytes(tmp_path / "file", b"new", sync=False)
    assert [world.get("file") for world in disk.worlds] == [None, b""]


def test_two_writers_at_once_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one writes the same file while this one is about to put its own into place."""
    replace, file = os.replace, tmp_path / "file"

    def meanwhile(beside: Path, path: Path) -> None:
        monkeypatch.setattr(os, "replace", replace)
        write_bytes(file, b"theirs, which is longer")
        assert file.read_bytes() == b"theirs, which is longer"
        replace(beside, path)

    monkeypatch.setattr(os, "replace", meanwhile)
    write_bytes(file, b"ours")
    assert file.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("planted", [".file.partial", ".file.0000.partial"])
def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: str) -> None:
    (tmp_path / "victim").write_bytes(b"theirs")
    (tmp_path / planted).symlink_to("victim")
    drawn = iter(["0000", "1111"])
    monkeypatch.setattr(secrets, "token_hex", lambda _: next(drawn))
    write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "victim").read_bytes() == b"theirs"
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()


def test_a_new_file_has_the_ordinary_mode_and_a_replaced_one_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "new", b"")
        (tmp_path / "private").touch(0o600)
        write_bytes(tmp_path / "private", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_write_leaves_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: type[BaseException]
) -> None:
    def fail(*_: object) -> None:
        raise error

    (tmp_path / "file").write_bytes(b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(error):
            write_bytes(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_long_name_leaves_room_for_that_of_the_temporary_file(tmp_path: Path) -> None:
    name = "ü" * 125 + ".png"
    write_bytes(tmp_path / name, b"new")
    assert (tmp_path / name).read_bytes() == b"new"


def test_what_killed_writers_left_is_swept_by_name(tmp_path: Path) -> None:
    for name in (".a.json.0badcafe.partial", ".ab.json.00facade.partial", "a.json", ".theirs.partial"):
        (tmp_path / name).touch()
    sweep(tmp_path, "a.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".ab.json.00facade.partial",
        ".theirs.partial",
        "a.json",
    ]
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".theirs.partial", "a.json"]
    sweep(tmp_path / "none")
    sweep(tmp_path / "a.json")


def test_a_second_name_is_of_the_same_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"content")
    (tmp_path / "b").write_bytes(b"old")
    disk = ForgetfulDisk(tmp_path)
    with disk.mounted():
        pass_on(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").samefile(tmp_path / "b")
    assert disk.worlds == [{"a": b"content", "b": b"content"}] * 2
