"""Every format as delivered: the same bytes under the same name, and copies rendered from them."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from tests.support.exports import PHOTOGRAPHS, Copies, exported, hugging_face
from tests.support.sources import encoded
from winnow.augmentation.rendering import read_steps, render
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import sample_id, samples_table
from winnow.export.delivered import label_quality
from winnow.pictures.decode import FORMATS, check_header, decode
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError

STEPS = [{"operation": "rotate", "magnitude": -0.4}, {"operation": "gaussian_noise", "magnitude": 0.2, "seed": 5}]


def photo(number: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (30, 44, 3), dtype=np.uint8))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(photo(1), "JPEG", exif=exif, quality=80)


def delivered() -> dict[str, bytes]:
    """File name and content of one image or more of every format that prepare decodes."""
    frames = [photo(number) for number in range(3)]
    deep = Image.fromarray(np.arange(30 * 44, dtype=np.uint16).reshape(30, 44) * 49)
    return {
        "plain.png": encoded(photo()),
        "deep.png": encoded(deep),
        "alpha.png": encoded(photo().convert("RGBA")),
        "palette.png": encoded(photo().quantize(16)),
        "photo.jpg": encoded(photo(), "JPEG"),
        "TURNED.JPG": turned(),
        "cmyk.jpeg": encoded(photo().convert("CMYK"), "JPEG"),
        "grey.jfif": encoded(photo().convert("L"), "JPEG"),
        "two.mpo": encoded(photo(), "MPO", save_all=True, append_images=frames[1:]),
        "palette.gif": encoded(photo().quantize(32), "GIF"),
        "moving.gif": encoded(photo(), "GIF", save_all=True, append_images=frames[1:]),
        "moving.webp": encoded(photo(), "WEBP", save_all=True, append_images=frames[1:], lossless=True),
        "plain.webp": encoded(photo(), "WEBP"),
        "deep.tiff": encoded(deep, "TIFF"),
        "plain.tif": encoded(photo(), "TIFF", compression="tiff_lzw"),
        "plain.bmp": encoded(photo(), "BMP"),
        "plain.dib": encoded(photo(), "DIB"),
        "plain.ppm": encoded(photo(), "PPM"),
        "grey.pgm": encoded(photo().convert("L"), "PPM"),
        "bits.pbm": encoded(photo().convert("1"), "PPM"),
        "plain.jp2": encoded(photo(), "JPEG2000"),
        "plain.avif": encoded(photo(), "AVIF"),
        "plain.ico": encoded(photo(), "ICO", sizes=[(16, 16)]),
        "misnamed.png": encoded(photo(7), "JPEG"),
        "no suffix": encoded(photo(8), "WEBP"),
        "notes.txt": encoded(photo(9), "GIF"),
    }


RENAMED = {
    "grey.jfif": "grey.jpg",
    "two.mpo": "two.jpg",
    "bits.pbm": "bits.ppm",
    "no suffix": "no suffix.webp",
    "notes.txt": "notes.txt.gif",
}


def make(folder: Path, *, copied: tuple[str, ...] = (), operations: str = json.dumps(STEPS), dropped: str = "") -> Path:
    """Two datasets, prepared and refined: each file in train, another class with one, copies of some."""
    rows: list[dict[str, Any]] = []
    images = {}
    more = {"only.png": encoded(photo(20))}
    for split, label, files in (("train", "x", delivered()), ("train", "y", more), ("val", "y", more)):
        for name, content in files.items():
            place = f"{split}/{label}/{name}"
            identifier = sample_id(place, content)
            images[identifier] = content
            row = {"id": identifier, "name": place, "split": split, "label": label, "given_label": label}
            rows.append({**row, "origin": "source", "pixel_hash": identifier, "channels": 3, "group": identifier})
    write_dataset(folder / "prepared", samples_table(rows, ["x", "y"]), images=images.items())
    for name in copied:
        parent = next(row for row in rows if row["name"] == f"train/x/{name}")
        copy = parent | {"id": parent["id"][::-1], "name": f"{parent['name']}#affine-0", "origin": "affine"}
        rows.append(copy | {"parent": parent["id"], "operations": operations})
        images[copy["id"]] = encoded(photo(30).resize((8, 8)))
    rows = [row for row in rows if row["name"] != f"train/x/{dropped}"]
    write_dataset(folder / "refined", samples_table(rows, ["x", "y"]), images=images.items())
    return folder


def run(folder: Path, *, model: str = PHOTOGRAPHS, copies: Copies = "auto") -> Path:
    return exported(folder / "refined", folder / "prepared", folder / "export", model=model, copies=copies)


def test_all_formats_are_covered() -> None:
    found = {check_header(io.BytesIO(content), max_pixels=10**6).format for content in delivered().values()}
    assert found == {*FORMATS, "MPO"}


def test_every_file_is_the_one_delivered_under_its_own_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(make(tmp_path))
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "train/x").iterdir()}
    wanted = {RENAMED.get(name, name): hashlib.sha256(content).hexdigest() for name, content in delivered().items()}
    assert found == wanted
    told = capsys.readouterr().out
    assert "27 train and 1 val images" in told
    assert "5 images under another file name: 'train/x/grey.jfif', 'train/x/two.mpo', 'train/x/bits.pbm'" in told
    assert "torchvision's ImageFolder skips 7 images (.avif, .dib, .gif, .ico, .jp2)" in told
    assert "Hugging Face's imagefolder skips 1 images (.avif): 'train/x/plain.avif'" in told


def test_torchvision_reads_all_but_what_the_stage_named(tmp_path: Path) -> None:
    folder = run(make(tmp_path))
    loaded = ImageFolder(folder / "train")
    assert len(loaded) == 27 - 7
    for image, label in loaded:
        assert (image.mode, loaded.classes[label]) in (("RGB", "x"), ("RGB", "y"))


def test_hugging_face_reads_all_but_what_the_stage_named(tmp_path: Path) -> None:
    for side in hugging_face(run(make(tmp_path)), tmp_path):
        assert len(side["train"]["images"]) == 27 - 1
        assert len(side["validation"]["images"]) == 1


@pytest.mark.parametrize(
    ("model", "copies", "there"),
    [
        ("competition", "auto", True),
        ("competition", "files", True),
        ("competition", "none", False),
        (PHOTOGRAPHS, "auto", False),
        (PHOTOGRAPHS, "files", True),
        (PHOTOGRAPHS, "none", False),
    ],
)
def test_copies_are_files_or_not(
    tmp_path: Path, model: str, copies: Copies, there: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(make(tmp_path, copied=("plain.png",)), model=model, copies=copies)
    listed = pq.read_table(folder / "manifest.parquet").to_pylist()
    assert sum(row["parent"] is not None for row in listed) == there
    assert sorted(row["file"] for row in listed) == sorted(
        path.relative_to(folder).as_posix() for path in folder.glob("*/*/*")
    )
    assert f"{int(there)} of them copies" in capsys.readouterr().out


def test_the_competitions_copies_are_those_that_were_judged(tmp_path: Path) -> None:
    folder = run(make(tmp_path, copied=("photo.jpg",)), model="competition")
    (copy,) = (row for row in pq.read_table(folder / "manifest.parquet").to_pylist() if row["parent"])
    assert copy["file"] == f"train/x/{copy['id']}.png"
    assert (folder / copy["file"]).read_bytes() == encoded(photo(30).resize((8, 8)))


def test_other_copies_are_rendered_at_their_parents_resolution(tmp_path: Path) -> None:
    names = ("plain.png", "TURNED.JPG", "two.mpo", "misnamed.png", "deep.png", "moving.webp")
    folder = run(make(tmp_path, copied=names), copies="files")
    listed = {row["name"]: row for row in pq.read_table(folder / "manifest.parquet").to_pylist()}
    for name in names:
        content = delivered()[name]
        copy = listed[f"train/x/{name}#affine-0"]
        jpeg = name in ("TURNED.JPG", "two.mpo", "misnamed.png")
        assert copy["file"] == f"train/x/{copy['id']}{'.jpg' if jpeg else '.png'}"
        wanted = render(decode(content, max_pixels=10**6), read_steps(json.dumps(STEPS)))
        stored = (folder / copy["file"]).read_bytes()
        image = Image.open(io.BytesIO(stored))
        assert image.format == ("JPEG" if jpeg else "PNG")
        assert image.size == ((30, 44) if name == "TURNED.JPG" else (44, 30))
        flat = wanted[..., 0] if wanted.shape[-1] == 1 else wanted
        if jpeg:
            assert stored == encoded(Image.fromarray(flat), "JPEG", quality=95)
        else:
            np.testing.assert_array_equal(np.asarray(image), flat)


def test_a_copy_whose_parent_was_dropped_is_rendered_all_the_same(tmp_path: Path) -> None:
    folder = run(make(tmp_path, copied=("plain.png",), dropped="plain.png"), copies="files")
    listed = pq.read_table(folder / "manifest.parquet").to_pylist()
    assert [row["name"] for row in listed if row["parent"]] == ["train/x/plain.png#affine-0"]


def test_a_copy_that_cannot_be_rendered_again_is_told(tmp_path: Path) -> None:
    made = make(tmp_path, copied=("plain.png",), operations='[{"operation": "cutout", "magnitude": 0.5}]')
    with pytest.raises(UserError, match=r"copy [0-9a-f]{16} cannot be rendered again: cutout has no seed.*dvc repro"):
        run(made, copies="files")


def test_two_of_one_name_in_a_class_have_their_ids(tmp_path: Path) -> None:
    """Two in one class folder under one file name, from folders below it."""
    rows: list[dict[str, Any]] = []
    images = {}
    for n, place in enumerate(["train/x/a/1.png", "train/x/b/1.PNG", "val/x/1.png"]):
        content = encoded(photo(n))
        identifier = sample_id(place, content)
        images[identifier] = content
        row = {"id": identifier, "name": place, "split": place.split("/")[0], "label": "x", "given_label": "x"}
        rows.append({**row, "origin": "source", "pixel_hash": identifier, "channels": 3, "group": identifier})
    for name in ("prepared", "refined"):
        write_dataset(tmp_path / name, samples_table(rows, ["x"]), images=images.items())
    folder = run(tmp_path)
    one, two, _ = images
    assert (folder / f"train/x/1-{one}.png").read_bytes() == images[one]
    assert (folder / f"train/x/1-{two}.PNG").read_bytes() == images[two]
    assert (folder / "val/x/1.png").exists()


def test_label_quality_is_that_of_the_label_delivered_by_the_last_round_that_had_it(tmp_path: Path) -> None:
    valued = {"r1": {"kept": 0.5, "moved": 0.01, "early": 0.9, "back": 0.2}}
    valued["r2"] = {"kept": 0.6, "moved": 0.99, "early": 0.95, "back": 0.8}
    for name, quality in valued.items():
        table = pa.table({"id": list(quality), "label_quality": list(quality.values())})
        write_table(tmp_path / f"{name}.parquet", table)
    given = {"kept": "i", "moved": "i", "early": "i", "back": "i"}
    delivered = pa.table({"id": list(given), "given_label": list(given.values())})
    rows = [
        *(("early", "r0", "relabel", "ii"), ("kept", "r1", "keep", "i"), ("moved", "r1", "relabel", "ii")),
        *(("back", "r1", "relabel", "ii"), ("back", "r1", "relabel", "i"), ("kept", "r2", "keep", "i")),
    ]
    names = ("id", "round", "action", "label_after")
    ledger = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    paths = {name: tmp_path / f"{name}.parquet" for name in valued}
    assert label_quality(paths, ledger, delivered) == {"kept": 0.6, "moved": 0.01, "back": 0.8}
    # Without a verdict of the second round, which may be refused, all that came before counts.
    assert label_quality({"r2": paths["r2"]}, ledger.slice(0, 5), delivered) == {"kept": 0.6, "back": 0.8}
