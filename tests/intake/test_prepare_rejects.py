"""Files that give no sample, sources that cannot work, and sources that mean harm."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.support.prepared import PARAMS, Prepared, refused
from tests.support.sources import bare_files, encoded, make_folder, make_zip, noise_png, split_files
from winnow.pipeline.files import digest

BAD = {
    "a/zero.png": (b"", "empty file"),
    "a/page.png": (b"<html>not found</html>", "unknown image format"),
    "b/cut.jpg": (encoded(Image.new("RGB", (64, 64)), "JPEG")[:300], "truncated or damaged"),
    "b/huge.png": (encoded(Image.new("1", (1001, 1000))), "too large"),
    "c/lab.tif": (encoded(Image.new("LAB", (4, 4)), "TIFF"), "unsupported pixel format"),
    "c/notes.txt": (b"some words", "not an image"),
    "c/empty.csv": (b"", "not an image"),
    "c/BM.txt": (b"BMW and others", "not an image"),  # begins as a bitmap does
}


def test_bad_files_cost_themselves_and_are_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = bare_files(60)
    files = good | {name: content for name, (content, _) in BAD.items()}
    run = Prepared(make_zip(tmp_path / "source.zip", files | {"stray.png": noise_png(1)}), tmp_path / "out")
    assert set(run.splits()) == set(good)
    assert run.rejected == {name: reason for name, (_, reason) in BAD.items()} | {"stray.png": "outside a class folder"}
    assert run.nonzero("rejected_") == {
        "total": 9,
        "empty_file": 1,
        "unknown_image_format": 1,
        "truncated_or_damaged": 1,
        "too_large": 1,
        "unsupported_pixel_format": 1,
        "not_an_image": 3,
        "outside_a_class_folder": 1,
    }
    out = capsys.readouterr().out
    assert "rejected 9 files (3 not an image, 1 unknown image format" in out
    assert "'a/page.png', 'a/zero.png', 'b/cut.jpg' first; all in" in out


def test_a_source_without_bad_files_has_an_empty_list(tmp_path: Path) -> None:
    run = Prepared(make_zip(tmp_path / "source.zip", split_files()), tmp_path / "out")
    assert run.rejected == {}
    assert pq.read_schema(run.prepared / "rejected.parquet").names == ["name", "reason"]
    assert "rejected_damaged_inside_the_zip" in run.counts  # every reason has its key in every run


def test_an_entry_damaged_inside_a_zip_costs_itself(tmp_path: Path) -> None:
    files = split_files()
    source = make_zip(tmp_path / "source.zip", files)
    content = source.read_bytes()
    pixels = files["train/a/003.png"][40:60]
    source.write_bytes(content.replace(pixels, bytes(20)))
    run = Prepared(source, tmp_path / "out")
    assert run.rejected == {"train/a/003.png": "damaged inside the zip"}


def test_more_unreadable_images_than_allowed(tmp_path: Path) -> None:
    files = bare_files(20, "ab")
    for name in list(files)[:3]:
        files[name] = files[name][:50]
    source = make_folder(tmp_path / "source", files)
    message = refused(source, tmp_path / "out")
    assert "more than 5% of its 40 images cannot be read, 'a/000.png' (truncated or damaged), " in message
    run = Prepared(source, tmp_path / "out", replace(PARAMS, max_unreadable=0.1))
    assert run.counts["rejected_truncated_or_damaged"] == 3


def test_a_class_without_readable_training_images(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "source.zip", bare_files(30) | {"d/1.png": b"none"})
    message = refused(source, tmp_path / "out")
    assert message.endswith("class 'd' has no training images that can be read; add some or remove its folder")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no images"),
        (bare_files(3, "a"), "has only one class, 'a'"),
        (split_files() | {"test/xi/1.png": noise_png(1)}, "class 'xi' of test/ is unknown to train/"),
        (split_files() | {"truth.csv": b"name,label\n"}, "truth.csv needs the columns"),
    ],
)
def test_a_source_that_cannot_work_stops_before_anything_is_written(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    assert words in refused(make_folder(tmp_path / "source", files), tmp_path / "out")


def test_a_hostile_source_writes_nothing_outside_the_outputs(tmp_path: Path) -> None:
    root = tmp_path / "a/b/c"  # as deep as any of the names could climb
    odd = ["..", "...", ".. ", "%2e%2e%2fevil", "new\nline", "~", "$HOME", "CON"]
    files = bare_files(8) | {f"a/{name}.png": noise_png(500 + i) for i, name in enumerate(odd)}
    make_zip(root / "odd.zip", files)
    for number, name in enumerate(("../evil.png", "a/../../../evil.png", f"{tmp_path}/evil.png")):
        make_zip(root / f"escape-{number}.zip", files | {name: noise_png(700)})
    before = digest([tmp_path])
    for number in range(3):
        assert "would lead outside" in refused(root / f"escape-{number}.zip", root / "out")
    run = Prepared(root / "odd.zip", root / "out")
    assert set(run.splits()) == {
        name for name in files if not name.startswith("a/.")
    }  # what starts with a dot is clutter
    shutil.rmtree(root / "out")
    assert digest([tmp_path]) == before
