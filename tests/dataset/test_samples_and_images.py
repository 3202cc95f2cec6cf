"""Datasets on disk: shards handed on, pixels exact, damage named."""

import io
import re
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support.datasets import damage
from tests.support.inputs import no_pixels
from winnow.dataset import images as stored
from winnow.dataset.images import decode_stored, encode_jpeg, encode_png, read_images, write_dataset
from winnow.dataset.samples import class_names, label_indices, only_splits, read_samples, sample_id, samples_table
from winnow.pictures.decode import suffix_of
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


def several_pictures() -> bytes:
    sink = io.BytesIO()
    one, other = (Image.fromarray(pixels(number, 3)) for number in (1, 2))
    one.save(sink, "MPO", save_all=True, append_images=[other])
    return sink.getvalue()


@pytest.mark.parametrize(
    "content",
    [encode_png(pixels(0)), encode_jpeg(pixels(0)), encode_jpeg(pixels(1, 3)), several_pictures()],
    ids=["PNG", "grey JPEG", "JPEG", "several JPEGs"],
)
def test_a_stored_image_has_the_suffix_of_its_format(tmp_path: Path, content: bytes) -> None:
    write_dataset(tmp_path / "d", samples_table([row("a1")], ["a"]), images=[("a1", content)])
    (shard,) = (tmp_path / "d/images").glob("*.parquet")
    assert pq.read_table(shard)["image"][0]["path"].as_py() == f"a1{suffix_of(content)}"


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(0, 39))
def test_a_new_image_changes_its_shard_alone(seed: int, place: int) -> None:
    """Beside it, the next shards until one ends where one ended before: here at the next of the old ends."""
    ids = [f"{n:016x}" for n in np.random.default_rng(seed).integers(0, 2**62, 41).tolist()]
    new, old = ids[place], [one for one in ids if one != ids[place]]
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(stored, "ENDS_ROWS", 5):
        shards = []
        for name, some in (("old", old), ("new", [*old[:place], new, *old[place:]])):
            write_dataset(Path(folder, name), samples_table([], ["a"]), images=((one, PICTURE) for one in some))
            files = Path(folder, name, "images").glob("*.parquet")
            shards.append({tuple(pq.read_table(file)["id"].to_pylist()) for file in files})
    before, after = shards
    assert sorted(one for shard in after for one in shard) == sorted(ids)
    assert len(before - after) <= 1  # the shard that it comes into
    assert len(after - before) <= 2  # which it may end


PICTURE = encode_png(pixels(0))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_shards_are_bounded_where_no_image_ends_one(sizes: list[int]) -> None:
    contents = [(f"{number:016x}", PICTURE[:8].ljust(8 + size, b"x")) for number, size in enumerate(sizes)]
    bounds = mock.patch.multiple(stored, SHARD_ROWS=4, SHARD_BYTES=100, ENDS_ROWS=2**40, ENDS_BYTES=2**60)
    with tempfile.TemporaryDirectory() as folder, bounds:
        write_dataset(Path(folder, "d"), samples_table([], ["a"]), images=contents)
        shards = [pq.read_table(file).to_pylist() for file in Path(folder, "d/images").glob("*.parquet")]
    written = sorted((row["id"], row["image"]["bytes"]) for shard in shards for row in shard)
    assert written == contents
    for shard in shards:
        assert len(shard) <= 4
        assert len(shard) == 1 or sum(len(row["image"]["bytes"]) for row in shard) <= 100
    assert len(shards) <= 1 + 2 * sum(8 + size for size in sizes) // 100 + len(sizes) // 4  # none is cut too early


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
