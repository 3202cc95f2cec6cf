"""The sources of the measurements of scale: their splits, their faults, and how they are written."""

import csv
import gzip
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.plant import Row, write_zip
from bench.scale.fashion import CLASSES, LABEL_BOOK, idx_array, write_fashion
from bench.scale.many_classes import draw_number, write_classes
from bench.scale.numerals import write_numerals

EACH = {"train": 36, "t10k": 6}  # images a class as published


def write_idx(file: Path, values: np.ndarray) -> None:
    lengths = b"".join(length.to_bytes(4, "big") for length in values.shape)
    file.write_bytes(gzip.compress(bytes([0, 0, 8, values.ndim]) + lengths + values.tobytes()))


@pytest.fixture(scope="module")
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published files in small: an image's corner is its label, the rest its own noise."""
    folder = tmp_path_factory.mktemp("fashion")
    rng = np.random.default_rng(0)
    for prefix, each in EACH.items():
        labels = rng.permutation(np.repeat(np.arange(10, dtype=np.uint8), each))
        images = rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        images[:, 0, 0] = labels
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", labels)
    return folder


Opened = tuple[dict[str, bytes], list[list[str]]]


def opened(out: Path) -> Opened:
    """The images of a zip by name, and the rows of its truth.csv; every file is stored as it is."""
    with zipfile.ZipFile(out) as archive:
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
        files = {name: archive.read(name) for name in archive.namelist()}
    header, *rows = csv.reader(io.StringIO(files.pop("truth.csv").decode()))
    assert header == ["name", "label", "noise"]
    return files, rows


def counts(names: list[str]) -> Counter[str]:
    return Counter(name.split("/")[0] for name in names)


def test_fashion_has_faults_in_train_alone_and_tells_them(fashion: Path, tmp_path: Path) -> None:
    rows = write_fashion(tmp_path / "all.zip", images=420, folder=fashion)
    files, told = opened(tmp_path / "all.zip")
    assert told == [[name, label, str(noise)] for name, label, noise in rows]
    assert counts(list(files)) == {"train": 310, "label_book": 50, "test": 60}
    assert sorted(name for name, _, _ in told) == sorted(name for name in files if name.startswith("train/"))
    assert sum(noise != "0" for _, _, noise in told) == round(0.03 * 310)
    assert sum(noise == "0" and name.split("/")[1] != label for name, label, noise in told) == round(0.04 * 310)
    shown = {
        name: CLASSES[np.asarray(Image.open(io.BytesIO(files[name])))[0, 0]] for name, _, noise in told if noise == "0"
    }
    assert shown == {name: label for name, label, noise in told if noise == "0"}
    for name, content in files.items():
        split, label, _ = name.split("/")
        if split != "train":
            assert CLASSES[np.asarray(Image.open(io.BytesIO(content)))[0, 0]] == label


def test_a_smaller_fashion_is_part_of_a_larger_one(fashion: Path, tmp_path: Path) -> None:
    for images in (210, 420):
        write_fashion(tmp_path / f"{images}.zip", images=images, folder=fashion)
    part, whole = (opened(tmp_path / f"{images}.zip")[0] for images in (210, 420))
    by_class = Counter(name.split("/")[1] for name in part if name.startswith(("label_book/", "test/")))
    assert set(by_class.values()) == {LABEL_BOOK + EACH["t10k"] // 2}
    book, larger = ({n for n in files if n.startswith("label_book/")} for files in (part, whole))
    assert book == larger
    assert {n for n in part if n.startswith("test/")} < {n for n in whole if n.startswith("test/")}


@pytest.mark.parametrize("images", [60, 421])
def test_what_fashion_cannot_give_is_refused(fashion: Path, tmp_path: Path, images: int) -> None:
    with pytest.raises(ValueError, match=str(images)):
        write_fashion(tmp_path / "no.zip", images=images, folder=fashion)


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="dataset-fashion-mnist"):
        write_fashion(tmp_path / "no.zip", images=70, folder=tmp_path)


def test_an_idx_file_is_read_in_its_shape_and_a_damaged_one_refused(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / "a.gz", values)
    assert np.array_equal(idx_array(tmp_path / "a.gz"), values)
    whole = gzip.decompress((tmp_path / "a.gz").read_bytes())
    for damaged in (whole[:-1], b"\0\0\x0d" + whole[3:]):
        (tmp_path / "b.gz").write_bytes(gzip.compress(damaged))
        with pytest.raises(ValueError, match=r"b\.gz"):
            idx_array(tmp_path / "b.gz")


def test_every_class_gets_its_images_and_train_its_faults(tmp_path: Path) -> None:
    write_classes(tmp_path / "k.zip", classes=12, images=20)
    files, told = opened(tmp_path / "k.zip")
    assert counts(list(files)) == {"train": 60, "label_book": 60, "test": 120}
    clean = Counter(tuple(name.split("/")[:2]) for name in files if not name.startswith("train/"))
    assert len(clean) == 24
    assert {label[0] for _, label, _ in told if label} == set("0123456789")
    assert sum(noise != "0" for _, _, noise in told) == round(0.03 * 60)
    assert sum(noise == "0" and name.split("/")[1] != label for name, label, noise in told) == round(0.04 * 60)


def test_a_class_is_seen_by_its_digits_and_by_its_pattern() -> None:
    """The mean over many images of a class is nearer to its own further images than to those of another class."""

    def mean(number: int, first: int) -> np.ndarray:
        drawn = [draw_number(number, np.random.default_rng([first + n, number])).mean(2) for n in range(200)]
        return np.mean([image - image.mean() for image in drawn], axis=0)

    for number, other in ((17, 71), (917, 17), (917, 918)):
        known, again, different = mean(number, 0), mean(number, 200), mean(other, 200)
        assert np.linalg.norm(known - again) < np.linalg.norm(known - different) / 2


@pytest.mark.parametrize(("classes", "images"), [(1, 20), (1001, 20), (10, 15)])
def test_classes_out_of_range_are_refused(tmp_path: Path, classes: int, images: int) -> None:
    with pytest.raises(ValueError, match=str(images)):
        write_classes(tmp_path / "no.zip", classes=classes, images=images)


def test_numerals_have_the_splits_and_the_truth_of_the_embedded_source(tmp_path: Path) -> None:
    write_numerals(tmp_path / "n.zip", images=200)
    files, told = opened(tmp_path / "n.zip")
    assert counts(list(files)) == {"train": 130, "label_book": 50, "test": 20}
    assert sum(noise == "1" and label == "" for _, label, noise in told) == round(0.03 * 130)
    assert sum(noise == "0" and name.split("/")[1] != label for name, label, noise in told) == round(0.04 * 130)
    with pytest.raises(ValueError, match="60"):
        write_numerals(tmp_path / "no.zip", images=60)


@pytest.mark.parametrize(
    "write",
    [
        lambda out: write_classes(out, classes=3, images=17),
        lambda out: write_numerals(out, images=80),
    ],
)
def test_equal_arguments_give_equal_bytes(tmp_path: Path, write: Callable[[Path], list[Row]]) -> None:
    for name in ("a", "b"):
        write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_zip_is_written_as_its_files_come(tmp_path: Path) -> None:
    out, sizes = tmp_path / "z.zip", []

    def files() -> Iterator[tuple[str, bytes]]:
        for number in range(3):
            sizes.append(out.stat().st_size)
            yield f"{number}.png", bytes(100_000)

    write_zip(out, files(), [])
    assert sizes[0] < 100_000 < sizes[1] < 200_000 < sizes[2]
