"""Datasets on disk: shards handed on, pixels exact, damage named."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.datasets import damage
from tests.support.inputs import no_pixels
from winnow.dataset import images as stored
from winnow.dataset.images import decode_stored, encode_png, read_images, write_dataset
from winnow.dataset.samples import class_names, label_indices, only_splits, read_samples, sample_id, samples_table
from winnow.pipeline.files import digest
from winnow.pipeline.messages import UserError


def row(identifier: str, **changes: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "id": identifier,
        "name": f"train/a/{identifier}.png",
        "split": "train",
        "label": "a",
        "given_label": "a",
        "origin": "source",
        "parent": None,
        "operations": None,
        "pixel_hash": identifier,
        "channels": 1,
        "width": 6,
        "height": 8,
        "group": identifier,
    }
    return plain | changes


def pixels(number: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (8, 6, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_exact(tmp_path: Path, channels: int) -> None:
    image = pixels(0, channels)
    np.testing.assert_array_equal(decode_stored(encode_png(image), tmp_path, "a1"), image)


def test_images_come_in_the_order_asked_for_across_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "SHARD_ROWS", 2)
    ids = [f"{n:016x}" for n in range(5)]
    table = samples_table([row(i) for i in ids], ["a"])
    write_dataset(tmp_path / "d", table, images=((i, encode_png(pixels(n))) for n, i in enumerate(ids)))
    assert len(list((tmp_path / "d/images").glob("*.parquet"))) == 3
    got = read_images(tmp_path / "d", [ids[4], ids[0], ids[3]], no_pixels(tmp_path))
    np.testing.assert_array_equal(got, np.stack([pixels(4), pixels(0), pixels(3)]))


def test_a_single_colour_image_makes_the_batch_colour(tmp_path: Path) -> None:
    images = [("0" * 16, encode_png(pixels(0))), ("1" * 16, encode_png(pixels(1, 3)))]
    write_dataset(tmp_path / "d", samples_table([row(i) for i, _ in images], ["a"]), images=images)
    got = read_images(tmp_path / "d", [i for i, _ in images], no_pixels(tmp_path))
    assert got.shape == (2, 8, 6, 3)
    np.testing.assert_array_equal(got[0], np.repeat(pixels(0), 3, axis=2))


def test_shards_are_handed_on_byte_for_byte_and_named_by_content(tmp_path: Path) -> None:
    ids = ["0" * 16, "1" * 16]
    table = samples_table([row(i) for i in ids], ["a"])
    for name in ("one", "again"):
        write_dataset(tmp_path / name, table, images=((i, encode_png(pixels(n))) for n, i in enumerate(ids)))
    write_dataset(tmp_path / "less", table.slice(0, 1), shards_from=[tmp_path / "one"])
    assert (
        digest([tmp_path / "one/images"]) == digest([tmp_path / "less/images"]) == digest([tmp_path / "again/images"])
    )
    assert digest([tmp_path / "one"]) == digest([tmp_path / "again"])
    assert read_samples(tmp_path / "less")["id"].to_pylist() == ids[:1]


def test_ids_depend_on_name_and_content_alone() -> None:
    assert sample_id("train/a/1.png", b"x") == sample_id("train/a/1.png", b"x")
    assert (
        len({sample_id("train/a/1.png", b"x"), sample_id("train/a/2.png", b"x"), sample_id("train/a/1.png", b"y")}) == 3
    )
    assert sample_id("train/a/1.png", b"x") == "7fdd8e127495c012"  # the same on every machine, in every version


def test_labels_index_the_classes_of_the_source(tmp_path: Path) -> None:
    table = samples_table([row("0" * 16, label="b"), row("1" * 16, split="val")], ["a", "b", "c"])
    write_dataset(tmp_path / "d", table)
    back = read_samples(tmp_path / "d")
    assert class_names(back) == ["a", "b", "c"]
    assert label_indices(back).tolist() == [1, 0]
    assert only_splits(back, "val", "label_book")["id"].to_pylist() == ["1" * 16]


def test_missing_pixels_are_named(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", samples_table([row("0" * 16)], ["a"]))
    with pytest.raises(UserError, match=r"images lacks 1 images, 0{16} first; run `dvc checkout"):
        read_images(tmp_path / "d", ["0" * 16], no_pixels(tmp_path))


def test_a_missing_a_broken_and_a_foreign_table_say_what_to_do(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    with pytest.raises(UserError, match=r"samples.parquet is missing; run `dvc repro`"):
        read_samples(tmp_path)
    (tmp_path / "samples.parquet").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="is not a whole parquet table; bring it back with `dvc checkout"):
        read_samples(tmp_path)
    pq.write_table(pa.table({"id": [1]}), tmp_path / "samples.parquet")
    with pytest.raises(UserError, match="is no samples table"):
        read_samples(tmp_path)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("a1"), row("a1")], "an id occurs twice"),
        ([row("a1", label="b")], "'b' is no label"),
        ([row("a1", split="exam")], "'exam' is no split"),
        ([row("../../a1")], "'../../a1' is no id"),
        ([row("a1"), row("a2", parent="/etc/a1")], "'/etc/a1' is no id"),
    ],
)
def test_a_tampered_table_is_refused_with_the_reason(tmp_path: Path, rows: list[dict[str, object]], said: str) -> None:
    write_dataset(tmp_path / "d", samples_table(rows, ["a"]))
    with pytest.raises(UserError, match=re.escape(said)):
        read_samples(tmp_path / "d")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty file"),
        (b"no image", "unknown image format"),
        (encode_png(pixels(0))[:40], "unknown image format"),
        (encode_png(pixels(0)).replace(b"IDAT", b"IDOT"), "unknown image format"),
        (encode_png(pixels(0))[:-30], "truncated or damaged"),
        (EPS, "unknown image format"),
    ],
    ids=["empty", "foreign", "cut in its header", "without its pixels", "cut", "a program for Ghostscript"],
)
def test_a_damaged_image_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    write_dataset(tmp_path / "d", samples_table([row("a1")], ["a"]), images=[("a1", encode_png(pixels(0)))])
    damage(tmp_path / "d", "a1", content)
    with pytest.raises(UserError, match=rf"the image of a1 is damaged \({why}\); run `dvc checkout"):
        read_images(tmp_path / "d", ["a1"], no_pixels(tmp_path))


def test_a_cut_shard_and_an_image_of_another_size_are_named(tmp_path: Path) -> None:
    table = samples_table([row("a1"), row("a2")], ["a"])
    write_dataset(tmp_path / "d", table, images=[("a1", encode_png(pixels(0))), ("a2", encode_png(pixels(1)[:4]))])
    with pytest.raises(UserError, match="a2 has another size than the rest"):
        read_images(tmp_path / "d", ["a1", "a2"], no_pixels(tmp_path))
    (shard,) = (tmp_path / "d/images").glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:-30])
    with pytest.raises(UserError, match="is not a complete image shard; run `dvc checkout"):
        read_images(tmp_path / "d", ["a1"], no_pixels(tmp_path))
