"""What files say beside their pixels: delivered as it is, removed if that is wished, and told in both cases."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.exports import PHOTOGRAPHS, exported
from tests.support.sources import encoded
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import sample_id, samples_table
from winnow.pictures.decode import decode
from winnow.pictures.metadata import NOTHING_PRIVATE, private_metadata
from winnow.pictures.pixel_hash import pixel_hash

SECRET = "Zauberlehrling-4711"


def photo(number: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (30, 44, 3), dtype=np.uint8))


def exif(turned: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = turned
    made[0x013B] = SECRET
    made[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)}
    return made


FILES = {
    "photo.jpg": encoded(photo(0), "JPEG", exif=exif(6)),
    "photo.png": encoded(photo(1), exif=exif(1)),
    "photo.webp": encoded(photo(2), "WEBP", exif=exif(3)),
    "photo.tif": encoded(photo(3), "TIFF", tiffinfo={0x013B: SECRET}),
    "plain.jpg": encoded(photo(4), "JPEG"),
    "plain.bmp": encoded(photo(5), "BMP"),
}


def make(folder: Path, *, wrong: str = "") -> tuple[Path, Path]:
    """The datasets refined and prepared; the pixels of ``wrong`` are said to be others."""
    rows: list[dict[str, Any]] = []
    images = {}
    for split in ("train", "val"):
        for name, content in FILES.items() if split == "train" else [("plain.png", encoded(photo(9)))]:
            place = f"{split}/x/{name}"
            identifier = sample_id(place, content)
            images[identifier] = content
            pixels = "other" if name == wrong else pixel_hash(decode(content, max_pixels=10**6))
            row = {"id": identifier, "name": place, "split": split, "label": "x", "given_label": "x", "width": 44}
            rows.append({**row, "origin": "source", "pixel_hash": pixels, "channels": 3, "group": identifier})
    parent = next(row for row in rows if row["name"] == "train/x/photo.jpg")
    operations = '[{"operation": "rotate", "magnitude": 0.1}]'
    copy = {"id": "copy", "name": "copy", "origin": "affine", "parent": parent["id"], "operations": operations}
    write_dataset(folder / "prepared", samples_table(rows, ["x", "y"]), images=images.items())
    images["copy"] = encoded(photo(0))
    write_dataset(folder / "refined", samples_table([*rows, parent | copy], ["x", "y"]), images=images.items())
    return folder / "refined", folder / "prepared"


def run(tmp_path: Path, *, strip: bool, wrong: str = "") -> Path:
    made = make(tmp_path, wrong=wrong)
    folder = tmp_path / "export"
    return exported(*made, folder, model=PHOTOGRAPHS, copies="files", strip_metadata=strip) / "train/x"


def test_files_stay_as_delivered_and_what_they_say_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path, strip=False)
    for name, content in FILES.items():
        assert (folder / name).read_bytes() == content
    told = capsys.readouterr().out
    assert "export: warning: 3 images carry GPS positions and 4 images carry serial numbers or names, and" in told
    assert "export.strip_metadata: true removes them" in told
    assert "keep their metadata" not in told


def test_metadata_goes_and_pixels_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path, strip=True)
    for name, content in FILES.items():
        stored = (folder / name).read_bytes()
        np.testing.assert_array_equal(decode(stored, max_pixels=10**6), decode(content, max_pixels=10**6))
        assert (SECRET.encode() in stored) == (name == "photo.tif")
    told = capsys.readouterr().out
    assert "export: warning: 1 images keep their metadata" in told
    assert "'train/x/photo.tif'" in told
    assert "export: warning: 1 images carry serial numbers or names, and" in told


def test_a_copy_carries_none_in_any_case(tmp_path: Path) -> None:
    content = (run(tmp_path, strip=False) / "copy.jpg").read_bytes()
    assert private_metadata(content) == NOTHING_PRIVATE
    assert dict(Image.open(io.BytesIO(content)).getexif()) == {}
    assert SECRET.encode() not in content


def test_a_file_whose_pixels_would_change_keeps_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path, strip=True, wrong="photo.jpg")
    assert (folder / "photo.jpg").read_bytes() == FILES["photo.jpg"]
    assert "2 images keep their metadata" in capsys.readouterr().out
