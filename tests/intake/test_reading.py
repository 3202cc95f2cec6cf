import errno
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from tests.support.bombs import icon, plain_png
from tests.support.sources import bare_files, encoded, make_folder, make_zip
from winnow.dataset.samples import sample_id
from winnow.intake import reading
from winnow.intake.container import open_container
from winnow.intake.facts import Facts, facts
from winnow.intake.findings import content_digest
from winnow.intake.ingest import ingest
from winnow.intake.layout import Entry
from winnow.intake.reading import BATCH_BYTES, BATCH_FILES, read_headers, read_images
from winnow.intake.source import check_source, open_source
from winnow.intake.zipped import MAX_FILE_BYTES
from winnow.pictures.decode import UnreadableError, check_header, quiet
from winnow.pipeline.messages import UserError

MAX_PIXELS = 1_000_000


def some_files() -> dict[str, bytes]:
    """More small ones than a batch takes, two large ones and some bad ones."""
    files = bare_files(BATCH_FILES, "ab")
    files["a/large.png"] = encoded(Image.effect_noise((700, 600), 90))
    files["b/large.tif"] = encoded(Image.effect_noise((700, 600), 90), "TIFF", compression="tiff_lzw")
    files["a/005-none.png"] = b""
    files["a/006-words.png"] = b"words"
    files["b/007-huge.png"] = plain_png(2_000, 2_000)
    files["b/008-icon.ico"] = icon(plain_png(900, 900))
    assert min(len(files[name]) for name in ("a/large.png", "b/large.tif")) > BATCH_BYTES
    return files


def directly(name: str, content: bytes) -> tuple[str, str, Facts] | str:
    """As it was before there were children: opened and decoded here."""
    try:
        with quiet():
            image = check_header(io.BytesIO(content), max_pixels=MAX_PIXELS)
            return sample_id(name, content), content_digest(content), Facts(**facts(image, content))
    except UnreadableError as error:
        return str(error)


def entries_of(files: dict[str, bytes]) -> list[Entry]:
    return [Entry(name, name, "train", name[0]) for name in sorted(files)]


@pytest.mark.parametrize("cores", [1, 3])
@pytest.mark.parametrize("make", [make_folder, make_zip])
def test_answers_are_those_of_decoding_here_in_the_order_of_the_files(
    cores: int, make: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    files = some_files()
    container = open_container(make(tmp_path / "source.zip", files))
    entries = entries_of(files)
    expected = [(entry, directly(entry.name, files[entry.name])) for entry in entries]
    images = read_images(container, entries, max_pixels=MAX_PIXELS)
    assert [(entry, str(one) if isinstance(one, UnreadableError) else one) for entry, one in images] == expected
    headers = read_headers(container, entries, max_pixels=MAX_PIXELS)
    reasons = [(entry, str(error) if error else None) for entry, error in headers]
    assert reasons == [(entry, one if isinstance(one, str) else None) for entry, one in expected]
    container.close()


def test_a_file_of_more_bytes_than_any_image_is_not_read(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, {"a/1.png": plain_png(4, 4), "a/2.png": plain_png(4, 4)})
    os.truncate(folder / "a/2.png", MAX_FILE_BYTES + 1)
    entries = [Entry(name, name, "train", "a") for name in ("a/1.png", "a/2.png")]
    container = open_container(folder)
    for read in (read_headers, read_images):
        answers = [answer for _, answer in read(container, entries, max_pixels=MAX_PIXELS)]
        assert not isinstance(answers[0], UnreadableError)
        assert str(answers[1]) == "too large"


def decoders() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "winnow.intake.decoder" in child.cmdline()]


def test_who_stops_early_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH_FILES", 1)
    files = bare_files(40, "a")
    answers = read_headers(open_container(make_folder(tmp_path, files)), entries_of(files), max_pixels=MAX_PIXELS)
    next(answers)
    assert decoders()
    answers.close()
    assert not decoders()


def test_a_source_that_is_refused_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BATCH_FILES", 1)
    path = make_folder(tmp_path, bare_files(20, "ab") | {"a/!.png": b""})
    with pytest.raises(UserError, match="cannot be read"), open_source(path) as source:
        ingest(source, max_unreadable=0.0, max_pixels=MAX_PIXELS)
    assert not decoders()
    with pytest.raises(UserError, match="cannot be read") as caught:
        check_source(path, max_unreadable=0.0, max_pixels=MAX_PIXELS)
    assert not decoders()
    assert caught.tb is not None  # which holds the frames that read


@pytest.mark.parametrize("make", [make_folder, make_zip])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), MemoryError()])
@pytest.mark.parametrize("read", [read_images, read_headers])
def test_a_failing_disk_or_full_memory_ends_the_run_and_rejects_no_image(
    read: Callable[..., Iterator[Any]],
    error: Exception,
    make: Callable[[Path, dict[str, bytes]], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*given: object, **named: object) -> bytes:
        raise error

    files = bare_files(3, "a")
    container = open_container(make(tmp_path / "source.zip", files))
    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(type(error)):
        list(read(container, entries_of(files), max_pixels=MAX_PIXELS))
