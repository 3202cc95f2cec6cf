"""What an earlier run found is used again: after any edit every byte is that of a fresh run, and little is opened."""

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image

from tests.intake.test_near_duplicates import scene
from tests.support.prepared import PARAMS, Prepared
from tests.support.sources import make_folder, make_zip
from winnow.intake import findings, grouping
from winnow.intake.sandbox import Sandbox
from winnow.pictures.decode import decode

Files = dict[str, bytes]


def photograph(seed: int, quality: int = 90) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(scene(seed, height=75, width=100)).save(sink, "JPEG", quality=quality)
    return sink.getvalue()


PHOTOGRAPHS = [photograph(seed) for seed in range(24)]
COPIES = [photograph(seed, quality=60) for seed in range(4)]


def source_files() -> Files:
    """Two classes of photographs, of which two have a copy each, and a file that is none."""
    files = {f"{'ab'[seed % 2]}/{seed:02d}.jpg": content for seed, content in enumerate(PHOTOGRAPHS[:20])}
    return files | {"a/copy-0.jpg": COPIES[0], "b/copy-1.jpg": COPIES[1], "a/bad.jpg": PHOTOGRAPHS[0][:90]}


def added(files: Files) -> Files:
    return files | {"a/new.jpg": PHOTOGRAPHS[20], "b/copy-of-new.jpg": COPIES[2]}


def removed(files: Files) -> Files:
    return {name: content for name, content in files.items() if name not in ("a/00.jpg", "b/05.jpg")}


def changed(files: Files) -> Files:
    return files | {"a/02.jpg": PHOTOGRAPHS[21], "b/copy-1.jpg": COPIES[3]}


def renamed(files: Files) -> Files:
    """A copy now comes before its original by name."""
    return {name.replace("a/copy-0", "a/!copy-0").replace("b/03", "b/zz"): content for name, content in files.items()}


def moved(files: Files) -> Files:
    return {name.replace("a/04", "b/04").replace("b/copy-1", "a/copy-1"): content for name, content in files.items()}


def twice(files: Files) -> Files:
    return files | {"b/again.jpg": files["b/07.jpg"]}


@pytest.fixture
def opened() -> Iterator[list[int]]:
    """How many images each sandbox was asked for, and how many thumbnails were made."""
    counts: list[int] = []
    together, alone, pixels = Sandbox.examine, Sandbox.examine_alone, decode

    def count(function: Callable[..., object], number: Callable[..., int]) -> Callable[..., object]:
        def counted(*arguments: object, **options: object) -> object:
            counts.append(number(*arguments))
            return function(*arguments, **options)

        return counted

    with (
        mock.patch.object(Sandbox, "examine", count(together, lambda _, images: len(images))),
        mock.patch.object(Sandbox, "examine_alone", count(alone, lambda *_: 1)),
        mock.patch.object(grouping, "decode", count(pixels, lambda *_: 1)),
    ):
        yield counts


def prepare(source: Path, out: Path) -> Prepared:
    return Prepared(source, out, replace(PARAMS, label_book_per_class=1, max_unreadable=0.2), model="competition")


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("edit", "most"),
    [(added, 2 + 4), (removed, 0), (changed, 2 + 4), (renamed, 4), (moved, 2), (twice, 0)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_after_an_edit_every_byte_is_that_of_a_fresh_run(
    tmp_path: Path, opened: list[int], edit: Callable[[Files], Files], most: int
) -> None:
    files = source_files()
    first = prepare(make_folder(tmp_path / "before", files), tmp_path / "again")
    assert first.counts["images_in_groups"] == 4
    edited = make_zip(tmp_path / "after.zip", edit(files))
    opened.clear()
    prepare(edited, tmp_path / "again")
    assert sum(opened) <= most + 1  # the file that gives no pixels is opened again
    prepare(edited, tmp_path / "fresh")
    assert files_of(tmp_path / "again") == files_of(tmp_path / "fresh")


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def of_another_code(folder: Path) -> None:
    made = json.loads((folder / findings.MADE).read_text())
    (folder / findings.MADE).write_text(json.dumps(made | {"by": "0" * 64}))


SPOILS: dict[str, Callable[[Path], object]] = {
    "flipped images": lambda folder: flip(folder / "images.parquet"),
    "flipped pairs": lambda folder: flip(folder / "pairs.parquet"),
    "cut": lambda folder: (folder / "images.parquet").write_bytes((folder / "images.parquet").read_bytes()[:99]),
    "gone": lambda folder: (folder / "pairs.parquet").unlink(),
    "no note": lambda folder: (folder / findings.MADE).unlink(),
    "another code": of_another_code,
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_is_damaged_or_made_otherwise_is_not_used(tmp_path: Path, opened: list[int], spoil: str) -> None:
    source = make_folder(tmp_path / "source", source_files())
    prepare(source, tmp_path / "again")
    whole = files_of(tmp_path / "again")
    SPOILS[spoil](tmp_path / "again/facts")
    opened.clear()
    prepare(source, tmp_path / "again")
    assert sum(opened) >= len(source_files())
    assert files_of(tmp_path / "again") == whole


def test_other_params_do_not_use_it(tmp_path: Path) -> None:
    """An image that an earlier run took is too large now."""
    sink = io.BytesIO()
    Image.fromarray(scene(22, height=120, width=120)).save(sink, "JPEG")
    source = make_folder(tmp_path / "source", source_files() | {"a/large.jpg": sink.getvalue()})
    params = replace(PARAMS, label_book_per_class=1, max_unreadable=0.2)
    assert "a/large.jpg" not in Prepared(source, tmp_path / "out", params, model="competition").rejected
    less = replace(params, max_image_pixels=100 * 100)
    assert Prepared(source, tmp_path / "out", less, model="competition").rejected["a/large.jpg"] == "too large"


def test_a_file_that_changed_under_its_name_is_opened_again(tmp_path: Path) -> None:
    """Whatever its size and times say."""
    files = source_files()
    source = make_folder(tmp_path / "source", files)
    before = {row["name"]: row for row in prepare(source, tmp_path / "out").samples()}
    file = source / "a/02.jpg"
    status = file.stat()
    file.write_bytes(PHOTOGRAPHS[21][: status.st_size].ljust(status.st_size, b"\0"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    run = prepare(source, tmp_path / "out")
    after = {row["name"]: row for row in run.samples()}
    fate = after.get("a/02.jpg") or run.rejected["a/02.jpg"]
    assert fate != before["a/02.jpg"]
