"""A folder that is written again: the same content in the end as one made anew, and what is the same untouched."""

from pathlib import Path

from winnow.pipeline.kept_folder import KeptFolder


def write(root: Path, files: dict[str, bytes]) -> None:
    folder = KeptFolder(root, files)
    for name, content in files.items():
        folder.write(name, content)
    folder.sync()


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


FIRST = {"train/a/1.png": b"one", "train/a/2.png": b"two", "val/b/3.png": b"three", "gone/4.png": b"four"}
SECOND = {"train/a/1.png": b"one", "train/a/2.png": b"TWO", "val/b/3.png": b"longer", "train/c/5.png": b"five"}


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    root = tmp_path / "export"
    write(root, FIRST)
    assert content(root) == FIRST
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in root.rglob("*.png")}
    write(root, SECOND)
    assert content(root) == SECOND
    same = {path.name for path, told in before.items() if path.exists() and told == tuple(
        (path.stat().st_ino, path.stat().st_mtime_ns)
    )}  # fmt: skip
    assert same == {"1.png"}
    assert not (root / "gone").exists()


def test_what_else_is_there_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    root, other = tmp_path / "export", tmp_path / "other"
    other.mkdir()
    (other / "1.png").write_bytes(b"one")
    root.mkdir()
    (root / "train").symlink_to(other)  # a link to a folder in a folder's place
    (root / "val").write_bytes(b"a file in a folder's place")
    (root / "manifest.parquet").write_bytes(b"of the export before")
    (root / "gone" / "4.png").mkdir(parents=True)  # a folder in a file's place
    write(root, {**FIRST, "train/1.png": b"new"})
    assert content(root) == {**FIRST, "train/1.png": b"new"}
    assert content(other) == {"1.png": b"one"}
    root.joinpath("val/b/3.png").unlink()
    (root / "val/b/3.png").symlink_to(other / "1.png")
    write(root, FIRST)
    assert content(root) == FIRST
    assert content(other) == {"1.png": b"one"}


def test_a_link_in_the_folders_place_is_removed(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "kept").write_bytes(b"kept")
    (tmp_path / "export").symlink_to(tmp_path / "other")
    write(tmp_path / "export", FIRST)
    assert content(tmp_path / "export") == FIRST
    assert content(tmp_path / "other") == {"kept": b"kept"}
