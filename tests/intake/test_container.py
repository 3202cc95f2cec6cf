import os
import struct
import tracemalloc
import unicodedata
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.sources import central_headers, contents, make_folder, make_zip
from tests.support.sources import refused_container as refused
from winnow.intake.container import open_container
from winnow.pictures.decode import UnreadableError

FILES = {"train/a/1.png": b"one", "train/a/deep/2.png": b"two", "read me.txt": b"three"}


# --- what works -----------------------------------------------------------------------------------------------------


def test_folder_and_zip_hold_the_same(tmp_path: Path) -> None:
    assert contents(make_folder(tmp_path / "folder", FILES)) == FILES
    assert contents(make_zip(tmp_path / "packed.zip", FILES)) == FILES


def test_lengths_and_folders_are_known_without_reading(tmp_path: Path) -> None:
    for path in (make_folder(tmp_path / "folder", FILES), make_zip(tmp_path / "packed.zip", FILES)):
        container = open_container(path)
        assert container.files == {name: len(content) for name, content in FILES.items()}
        assert container.folders == {"train", "train/a", "train/a/deep"}
        with container.open("train/a/1.png") as file:
            assert file.read(1) == b"o"
        container.close()


def test_empty_folders_are_seen(tmp_path: Path) -> None:
    (make_folder(tmp_path / "folder", FILES) / "train/b").mkdir()
    archive = make_zip(tmp_path / "packed.zip", {**FILES, "train/b/": b""})
    for path in (tmp_path / "folder", archive):
        container = open_container(path)
        assert "train/b" in container.folders
        container.close()


def test_clutter_is_skipped(tmp_path: Path) -> None:
    clutter = [".DS_Store", "train/.hidden/1.png", "__MACOSX/train/a/._1.png", "train/a/Thumbs.db", "train/desktop.ini"]
    files = FILES | dict.fromkeys(clutter, b"x")
    assert contents(make_folder(tmp_path / "folder", files)) == FILES
    assert contents(make_zip(tmp_path / "packed.zip", files)) == FILES


ODD_NAMES = [
    "new\nline.png",
    "quote'\".png",
    "[brackets] {a}*?.png",
    "n" * 251 + ".png",
    "日本語.png",
    "🦉.png",
    "é.png",
]


def test_odd_names_and_paths_work(tmp_path: Path) -> None:
    files = {f"a/{name}": name.encode() for name in ODD_NAMES}
    place = tmp_path / 'my [data] set\'s "best"'
    assert contents(make_folder(place / "folder", files)) == files
    assert contents(make_zip(place / "packed (1).zip", files)) == files


def test_names_are_composed_whatever_system_wrote_them(tmp_path: Path) -> None:
    apple = unicodedata.normalize("NFD", "a/é.png")
    assert contents(make_folder(tmp_path / "folder", {apple: b"x"})) == {"a/é.png": b"x"}
    assert contents(make_zip(tmp_path / "packed.zip", {apple: b"x"})) == {"a/é.png": b"x"}


@pytest.mark.parametrize("raw", [b"\xc3\xa9", b"\x82"])  # UTF-8 and cp437
def test_zip_names_without_the_utf_8_flag(tmp_path: Path, raw: bytes) -> None:
    path = make_zip(tmp_path / "packed.zip", {f"a/{'Q' * len(raw)}.png": b"x"})
    path.write_bytes(path.read_bytes().replace(b"Q" * len(raw), raw))
    assert contents(path) == {"a/é.png": b"x"}


def test_bytes_that_are_no_text_are_spelled_out(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "folder", {})
    (folder / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    assert contents(folder) == {"\\xff.png": b"x"}


def test_a_link_to_a_file_inside_is_followed(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "folder", FILES)
    (folder / "train/a/3.png").symlink_to("1.png")
    assert contents(folder)["train/a/3.png"] == b"one"


def test_a_zip_without_its_suffix_is_a_zip(tmp_path: Path) -> None:
    assert contents(make_zip(tmp_path / "packed", FILES)) == FILES


# --- what costs a file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "dangling"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    folder = make_folder(tmp_path / "folder", {})
    if kind == "pipe":
        os.mkfifo(folder / "1.png")
    else:
        (folder / "1.png").symlink_to("gone.png")
    with pytest.raises(UnreadableError, match="cannot be opened"):
        open_container(folder).read("1.png")


def test_a_damaged_entry_costs_that_entry(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "packed.zip", {"a/1.png": b"first", "a/2.png": b"other"})
    path.write_bytes(path.read_bytes().replace(b"first", b"fjrst"))
    container = open_container(path)
    with pytest.raises(UnreadableError, match="damaged inside the zip"):
        container.read("a/1.png")
    assert container.read("a/2.png") == b"other"
    container.close()


def test_a_file_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "folder", {"1.png": b""})
    os.truncate(folder / "1.png", 512 * 2**20 + 1)  # sparse
    archive = make_zip(tmp_path / "packed.zip", {"1.png": b"x" * 9})
    content = bytearray(archive.read_bytes())
    struct.pack_into("<I", content, central_headers(bytes(content))[0] + 24, 512 * 2**20 + 1)
    archive.write_bytes(content)
    for path in (folder, archive):
        container = open_container(path)
        with pytest.raises(UnreadableError, match="too large"):
            container.read("1.png")
        container.close()


# --- what stops the source ------------------------------------------------------------------------------------------


def test_missing_path(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone").endswith("does not exist; give the path of a folder or of a zip")


def test_neither_folder_nor_zip(tmp_path: Path) -> None:
    (tmp_path / "data.tar.gz").write_bytes(b"\x1f\x8b....")
    assert "is neither a folder nor a zip; unpack it" in refused(tmp_path / "data.tar.gz")


def test_a_name_too_long_for_the_system(tmp_path: Path) -> None:
    assert "cannot be opened (File name too long)" in refused(tmp_path / ("n" * 300))


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_damaged_zip(tmp_path: Path, damage: str) -> None:
    path = make_zip(tmp_path / "packed.zip", FILES)
    path.write_bytes({"cut": path.read_bytes()[:100], "text": b"<html>404</html>", "empty": b""}[damage])
    message = refused(path)
    assert "is a damaged zip" in message
    assert message.endswith("download it or pack it again")


@pytest.mark.parametrize(
    "name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "C:/evil.png", "c:evil.png", "a\\..\\evil.png", ".."]
)
def test_zip_with_a_path_that_escapes(tmp_path: Path, name: str) -> None:
    assert "would lead outside; pack it again" in refused(make_zip(tmp_path / "packed.zip", FILES | {name: b"x"}))


def test_zip_with_a_nul_in_a_name(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "packed.zip", {"a/1Q.png": b"x"})
    path.write_bytes(path.read_bytes().replace(b"1Q", b"1\0"))
    assert "would lead outside" in refused(path)


def test_zip_with_a_link(tmp_path: Path) -> None:
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("train/a/1.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "'train/a/1.png' is a link; pack it again with the linked files" in refused(path)


def test_encrypted_zip(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "packed.zip", {"a/1.png": b"x"})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the local header, then in the central one
    content[central_headers(bytes(content))[0] + 8] |= 1
    path.write_bytes(content)
    assert "is encrypted; unpack it with its password" in refused(path)


@pytest.mark.parametrize("second", ["a/é.png", unicodedata.normalize("NFD", "a/é.png"), "a//é.png", "./a/é.png"])
def test_zip_with_a_name_twice(tmp_path: Path, second: str) -> None:
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of what this test is about
        archive.writestr("a/é.png", b"1")
        archive.writestr(second, b"2")
    assert "holds the name 'a/é.png' twice; rename one of the two" in refused(path)


def test_folder_with_a_name_twice_after_composing(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "folder", {"é.png": b"1", unicodedata.normalize("NFD", "é.png"): b"2"})
    assert "holds the name 'é.png' twice" in refused(folder)


def test_names_that_differ_in_case_are_two(tmp_path: Path) -> None:
    files = {"a/x.png": b"1", "a/X.png": b"2"}
    assert contents(make_zip(tmp_path / "packed.zip", files)) == files


def test_zip_bomb(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "packed.zip", {"a/1.png": b"x"})
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, central_headers(bytes(content))[0] + 24, 3 * 2**30)
    path.write_bytes(content)
    assert "would unpack from" in refused(path)
    assert "as a zip bomb does" in refused(path)


def understated(path: Path, entry: str, packing: int) -> Path:
    """A zip whose one entry unpacks to 100 MB and declares ten bytes."""
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr(entry, bytes(100_000_000))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 22, 10)  # local header
    struct.pack_into("<I", content, central_headers(bytes(content))[0] + 24, 10)
    path.write_bytes(content)
    return path


def test_an_entry_larger_than_it_says_is_damaged_and_takes_no_memory(tmp_path: Path) -> None:
    source = open_container(understated(tmp_path / "packed.zip", "a/1.png", zipfile.ZIP_DEFLATED))
    tracemalloc.start()
    with pytest.raises(UnreadableError):
        source.read("a/1.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    source.close()
    assert peak < 1_000_000


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_cannot_be_bounded_is_refused(tmp_path: Path, packing: int) -> None:
    path = understated(tmp_path / "packed.zip", "a/1.png", packing)
    assert "the entry 'a/1.png' has an unsupported compression; pack it again as an ordinary zip" in refused(path)


@pytest.mark.parametrize("kind", ["file", "folder", "dangling"])
def test_link_that_leads_outside(tmp_path: Path, kind: str) -> None:
    folder = make_folder(tmp_path / "folder", FILES)
    make_folder(tmp_path / "secret", {"1.png": b"x"})
    target = {"file": "../../../secret/1.png", "folder": "../../../secret", "dangling": "/nowhere/1.png"}[kind]
    (folder / "train/a/link").symlink_to(target)
    assert "train/a/link' is a link that leads outside the source; put a copy in its place" in refused(folder)


def test_link_to_a_folder_inside(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "folder", FILES)
    (folder / "train/b").symlink_to("..")  # would go round for ever
    assert "is a link to a folder; put the folder itself in its place" in refused(folder)


def test_a_source_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.zip")
    writer = os.open(tmp_path / "data.zip", os.O_RDWR)  # else a reader would wait, and no test would fail
    os.write(writer, b"PK")
    message = refused(tmp_path / "data.zip")
    os.close(writer)
    assert message.endswith("is neither a folder nor a file; give the path of a folder or a zip")


def test_links_in_a_circle_or_in_a_long_chain_lead_to_nothing(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "folder", {"1.png": b"x"})
    (folder / "circle.png").symlink_to("circle.png")
    for number in range(2, 1500):
        (folder / f"{number}.png").symlink_to(f"{number - 1}.png")
    container = open_container(folder)
    assert container.read("20.png") == b"x"
    for name in ("circle.png", "1499.png"):
        with pytest.raises(UnreadableError, match="cannot be opened"):
            container.read(name)


def test_a_file_that_grows_after_it_was_listed_takes_no_more_memory_than_allowed(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "folder", {"1.png": b"x"})
    container = open_container(folder)
    (folder / "1.png").write_bytes(b"x" * 11)
    assert container.read("1.png") == b"xx"
    assert container.changed()


def test_damage_is_told_from_a_file_that_is_read_in_pieces_too(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "packed.zip", {"a/1.png": b"first"})
    path.write_bytes(path.read_bytes().replace(b"first", b"fjrst"))
    container = open_container(path)
    with container.open("a/1.png") as file, pytest.raises(UnreadableError, match="damaged inside the zip"):
        file.read()
    container.close()


@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_a_small_file_takes_little_memory(tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path]) -> None:
    container = open_container(make(tmp_path / "source.zip", {"a/1.png": b"x" * 1000}))
    tracemalloc.start()
    try:
        assert container.read("a/1.png") == b"x" * 1000
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
        container.close()


# --- late edits -----------------------------------------------------------------------------------------------------


def edits(path: Path) -> dict[str, Callable[[], Any]]:
    """What may happen to a file; each leaves it changed."""

    def rewrite_at_the_same_time() -> None:
        before = path.stat()
        while path.stat().st_ctime_ns == before.st_ctime_ns:  # whose clock has steps of a few milliseconds
            path.write_bytes(b"two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def exchange() -> None:
        path.with_suffix(".new").write_bytes(b"two")
        path.with_suffix(".new").replace(path)

    return {"rewritten": rewrite_at_the_same_time, "exchanged": exchange, "removed": path.unlink}


@pytest.mark.parametrize("edit", ["rewritten", "exchanged", "removed", "added", "none"])
def test_a_changed_folder_is_known(tmp_path: Path, edit: str) -> None:
    folder = make_folder(tmp_path / "folder", FILES | {"train/.DS_Store": b"x"})
    container = open_container(folder)
    assert not container.changed()
    more = {"added": lambda: make_folder(folder, {"train/b/1.png": b"x"}), "none": lambda: None}
    (edits(folder / "train/a/1.png") | more)[edit]()
    make_folder(folder, {"train/.DS_Store": b"other"})
    assert container.changed() == (edit != "none")


@pytest.mark.parametrize("edit", ["rewritten", "exchanged", "removed"])
def test_a_changed_zip_is_known_even_when_it_is_closed(tmp_path: Path, edit: str) -> None:
    container = open_container(make_zip(tmp_path / "packed.zip", FILES))
    container.close()
    assert not container.changed()
    edits(tmp_path / "packed.zip")[edit]()
    assert container.changed()
