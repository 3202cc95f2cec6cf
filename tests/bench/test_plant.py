"""Planted faults are where truth.csv says, and nowhere else."""

import csv
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.clean import clean_of
from bench.junk import PHOTOGRAPH_JUNK, SMALL_JUNK, encoded_like, one_colour
from bench.plant import Shares, plant, plant_names, plant_source
from tests.support.sources import encoded, make_folder, make_zip
from winnow.intake.source import open_source
from winnow.pictures.decode import decode

SHARES = Shares(wrong=0.25, junk=0.25, test=0.25)


def images() -> dict[str, np.ndarray]:
    """Ten images of each of three classes; an image's grey tells its class, its first pixel which one it is."""
    made = {}
    for k, label in enumerate(("a", "b", "c")):
        for number in range(10):
            pixels = np.full((8, 8, 3), 60 * (k + 1), np.uint8)
            pixels[0, 0] = number
            made[f"{label}/{number}.png"] = pixels
    return made


def photograph(seed: int, *, width: int = 96, height: int = 72, kind: str = "JPEG") -> bytes:
    """A smooth picture of its own."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8))
    return encoded(
        coarse.resize((width, height), Image.Resampling.BICUBIC), kind, **({"quality": 71} if kind == "JPEG" else {})
    )


def photographs(*splits: str) -> dict[str, bytes]:
    """Sixteen a split, of two classes, in two formats and two sizes."""
    files = {}
    for s, split in enumerate(splits):
        for n in range(16):
            kind, suffix = (("JPEG", ".jpg"), ("PNG", ".png"))[n % 2]
            content = photograph(100 * s + n, width=96 + 10 * (n % 3), kind=kind)
            files[f"{split}{'ab'[n // 8]}/{n:02}{suffix}"] = content
    return files


def planted(tmp_path: Path, files: dict[str, bytes], *, seed: int = 0) -> tuple[dict[str, bytes], list[list[str]]]:
    """The content of the planted zip, and the rows of its truth.csv."""
    out = tmp_path / f"planted-{seed}.zip"
    plant_source(make_folder(tmp_path / "source", files), out, shares=SHARES, seed=seed)
    with zipfile.ZipFile(out) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    header, *rows = csv.reader(io.StringIO(content.pop("truth.csv").decode()))
    assert header == ["name", "label", "noise"]
    return content, rows


def test_shares_are_met_and_the_truth_is_told() -> None:
    placed, rows = plant(images(), wrong=0.25, junk=0.125, test=0.2, seed=0)
    train = {name: pixels for name, pixels in placed.items() if name.startswith("train/")}
    tested = {name: pixels for name, pixels in placed.items() if name.startswith("test/")}
    assert (len(train), len(tested)) == (24, 6)
    assert {name for name, _, _ in rows} == set(train)
    junk = [name for name, _, noise in rows if noise]
    moved = [name for name, label, noise in rows if not noise and name.split("/")[1] != label]
    assert len(junk) == 3
    assert len(moved) == 6
    for name, label, noise in rows:
        if not noise:
            assert train[name][1, 1, 0] == 60 * ("abc".index(label) + 1)
    for name, pixels in tested.items():
        assert pixels[1, 1, 0] == 60 * ("abc".index(name.split("/")[1]) + 1)


def test_equal_seeds_plant_alike_and_others_otherwise() -> None:
    first, again = (plant(images(), wrong=0.2, junk=0.2, test=0.2, seed=1) for _ in range(2))
    other = plant(images(), wrong=0.2, junk=0.2, test=0.2, seed=2)
    assert first[1] == again[1]
    assert all(np.array_equal(first[0][name], again[0][name]) for name in first[0])
    assert first[1] != other[1]


def test_small_images_are_planted_as_they_always_were(tmp_path: Path) -> None:
    placed, rows = plant(images(), wrong=0.25, junk=0.5, test=0.2, seed=0)
    total = hashlib.sha256()
    for name in sorted(placed):
        total.update(name.encode())
        total.update(placed[name].tobytes())
    total.update(repr(rows).encode())
    assert total.hexdigest() == "d23cebdd43f43b71fb0907ded1cef35797850b7584a2641068fa3f1c3718f8fd"

    source = {name: encoded(Image.fromarray(pixels)) for name, pixels in images().items()}
    content, listed = planted(tmp_path, source)
    placed, rows = plant(images(), wrong=0.25, junk=0.25, test=0.25, seed=0)
    assert listed == [[name, label, str(noise)] for name, label, noise in rows]
    assert sorted(content) == sorted(placed)
    for name, pixels in placed.items():
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(content[name]))), pixels)


def test_photographs_keep_their_bytes_or_are_junk_in_their_own_format(tmp_path: Path) -> None:
    source = photographs("train/", "val/", "label_book/", "test/")
    content, rows = planted(tmp_path, source)
    told = {name: (label, noise) for name, label, noise in rows}
    assert len(content) == len(source)
    for name, delivered in source.items():
        if name.startswith(("label_book/", "test/")):
            assert content[name] == delivered
    judged = {content: name for name, content in source.items() if name.startswith(("train/", "val/"))}
    assert {name for name in content if name.startswith(("train/", "val/"))} == set(told)
    wrong, junk = 0, []
    for name, (label, noise) in told.items():
        split, folder, file = name.split("/")
        if noise == "0":
            before = judged[content[name]]
            assert before.split("/")[:2] == [split, label]
            wrong += folder != label
        else:
            assert (label, content[name] in judged) == ("", False)
            junk.append(noise)
            picture = Image.open(io.BytesIO(content[name]))
            assert picture.format == {".jpg": "JPEG", ".png": "PNG"}[Path(file).suffix]
            assert picture.height == 72
    assert (wrong, len(junk)) == (8, 8)
    assert sorted(junk) == sorted(2 * [kind.__name__ for kind in PHOTOGRAPH_JUNK])


def test_a_bare_source_of_photographs_gets_a_clean_test_set(tmp_path: Path) -> None:
    source = photographs("")
    content, rows = planted(tmp_path, source)
    test = {name for name in content if name.startswith("test/")}
    assert sorted(name.split("/")[1] for name in test) == ["a", "a", "b", "b"]
    assert all(content[name] == source[name.removeprefix("test/")] for name in test)
    assert (len(rows), sum(noise != "0" for _, _, noise in rows)) == (12, 3)
    assert sum(noise == "0" and name.split("/")[1] != label for name, label, noise in rows) == 3


def test_equal_arguments_give_equal_bytes_from_a_folder_and_from_its_zip(tmp_path: Path) -> None:
    source = photographs("train/", "test/")
    folder, archive = make_folder(tmp_path / "folder", source), make_zip(tmp_path / "source.zip", source)
    outs = [tmp_path / f"{n}.zip" for n in range(3)]
    for path, out, seed in zip((folder, archive, archive), outs, (5, 5, 6), strict=True):
        plant_source(path, out, shares=SHARES, seed=seed)
    first, again, other = (out.read_bytes() for out in outs)
    assert first == again
    assert first != other


def test_small_images_in_splits_get_their_own_junk(tmp_path: Path) -> None:
    source = {f"train/{name}": encoded(Image.fromarray(pixels[..., 0])) for name, pixels in images().items()}
    content, rows = planted(tmp_path, source)
    junk = {name: noise for name, _, noise in rows if noise != "0"}
    assert set(junk.values()) == {kind.__name__ for kind in SMALL_JUNK}
    assert all(Image.open(io.BytesIO(content[name])).mode == "L" for name in junk)


@pytest.mark.parametrize("wrapper", ["", "my photographs/"])
def test_a_known_truth_makes_a_source_clean(tmp_path: Path, wrapper: str) -> None:
    names = ["train/a/0.jpg", "train/a/1.jpg", "train/a/2.jpg", "train/b/0.jpg", "train/b/3.jpg", "test/b/9.jpg"]
    files = {wrapper + name: photograph(n) for n, name in enumerate(names)}
    truth = "name,label,noise\ntrain/a/0.jpg,b,label\ntrain/a/1.jpg,,junk\ntrain/b/0.jpg,b,\ntrain/b/3.jpg,a,0\n"
    files[f"{wrapper}truth.csv"] = truth.encode()
    with open_source(make_zip(tmp_path / "known.zip", files)) as source:
        clean = clean_of(source)
    assert clean == {
        "test/b/9.jpg": f"{wrapper}test/b/9.jpg",
        "train/a/2.jpg": f"{wrapper}train/a/2.jpg",
        "train/a/3.jpg": f"{wrapper}train/b/3.jpg",
        "train/b/0-a.jpg": f"{wrapper}train/a/0.jpg",
        "train/b/0.jpg": f"{wrapper}train/b/0.jpg",
    }


def test_what_was_planted_is_made_clean_again(tmp_path: Path) -> None:
    source = photographs("train/", "test/")
    out = tmp_path / "planted.zip"
    plant_source(make_folder(tmp_path / "source", source), out, shares=SHARES, seed=0)
    with open_source(out) as opened:
        clean = {name: opened.container.read(key) for name, key in clean_of(opened).items()}
    label_of = {content: name.rpartition("/")[0] for name, content in source.items()}
    assert len(clean) == 32 - 4
    assert all(label_of[content] == name.rpartition("/")[0] for name, content in clean.items())


def test_names_and_order_say_nothing_of_the_truth() -> None:
    names = [f"{label}/{n}.jpg" for label in "ab" for n in range(50)]
    _, members = plant_names(names, shares=Shares(0.5, 0.0, 0.0), kinds=4, seed=0)
    numbers = {one.number for one in members}
    assert numbers == set(range(100))
    low = [one.label for one in members if one.number < 50]
    assert 15 < low.count("a") < 35


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ruin", PHOTOGRAPH_JUNK)
def test_junk_of_a_photograph_has_its_shape_and_not_its_content(ruin: object, channels: int) -> None:
    assert callable(ruin)
    image = np.zeros((61, 97, channels), np.uint8)
    image[::2] = 255  # stripes, which no blur leaves
    made = ruin(image, image, np.random.default_rng(1))
    again = ruin(image, image, np.random.default_rng(1))
    assert (made.shape, made.dtype) == (image.shape, np.uint8)
    assert np.array_equal(made, again)
    rows = made.astype(np.float64).mean(axis=(1, 2))
    assert abs(rows[::2].mean() - rows[1::2].mean()) < 20  # of the image: 255


def test_a_jpeg_is_written_with_its_own_tables() -> None:
    content = photograph(0)
    pixels = one_colour(decode(content, max_pixels=10**6), np.empty(0, np.uint8), np.random.default_rng(0))
    made = Image.open(io.BytesIO(encoded_like(pixels, content)))
    assert made.quantization == Image.open(io.BytesIO(content)).quantization  # type: ignore[attr-defined]
    assert np.abs(np.asarray(made).astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG2000", "PPM"])
def test_other_formats_stay_what_they_are(kind: str) -> None:
    content = photograph(0, kind=kind)
    pixels = np.full((10, 20, 3), 77, np.uint8)
    made = encoded_like(pixels, content)
    assert Image.open(io.BytesIO(made)).format == kind
    assert np.abs(decode(made, max_pixels=1000).astype(int) - 77).max() <= 3
