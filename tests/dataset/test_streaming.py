"""Images one after another: each once, in the shards' order, and nothing read that is not needed."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.support.datasets import damage
from winnow.dataset import images as stored
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import sample_id, samples_table
from winnow.dataset.streaming import each_image, images_in_shard, read_thumbnails
from winnow.pipeline.messages import UserError


def jpeg(number: int) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (400, 300), (10 * number, 90, 200)).save(sink, format="JPEG")
    return sink.getvalue()


IMAGES = {
    sample_id(f"{n}.jpg", b""): jpeg(n) if n % 2 else encode_png(np.full((8, 6, 1), n, np.uint8)) for n in range(20)
}
IDS = list(IMAGES)


def dataset(folder: Path, images: dict[str, bytes]) -> Path:
    rows = [
        {"id": one, "name": one, "split": "train", "label": "a", "given_label": "a"}
        | {"origin": "source", "pixel_hash": one, "channels": 1, "group": one}
        for one in images
    ]
    write_dataset(folder, samples_table(rows, ["a"]), images=list(images.items()))
    return folder


@pytest.mark.parametrize("rows", [1, 7, 4096])
def test_each_image_comes_once_with_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(stored, "SHARD_ROWS", rows)
    wanted = [IDS[15], IDS[3], "f" * 16, IDS[4], IDS[3]]
    got = list(each_image(dataset(tmp_path, IMAGES), wanted))
    assert len(got) == 3
    assert dict(got) == {one: IMAGES[one] for one in (IDS[3], IDS[4], IDS[15])}


def test_an_image_in_two_shards_comes_once(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "a", IMAGES)
    (other,) = (dataset(tmp_path / "b", {one: IMAGES[one] for one in IDS[:5]}) / "images").iterdir()
    (folder / "images" / other.name).write_bytes(other.read_bytes())
    assert len(list((folder / "images").iterdir())) == 2
    assert sorted(one for one, _ in each_image(folder, IDS)) == sorted(IDS)


@pytest.mark.parametrize("pieces", [{"row_group_size": 3}, {"write_batch_size": 2, "data_page_size": 1}])
def test_a_shard_in_pieces_gives_the_same_in_its_order(tmp_path: Path, pieces: dict[str, int]) -> None:
    (shard,) = (dataset(tmp_path, IMAGES) / "images").iterdir()
    pq.write_table(pq.read_table(shard), shard, **pieces)
    assert list(images_in_shard(shard, IDS[4:12])) == [(one, IMAGES[one]) for one in IDS[4:12]]


def test_no_shard_is_read_after_the_last_image_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "SHARD_ROWS", 10)
    first, second = sorted((dataset(tmp_path, IMAGES) / "images").iterdir())
    (held, *_) = pq.read_table(first)["id"].to_pylist()
    second.write_bytes(b"nonsense")
    assert list(each_image(tmp_path, [held])) == [(held, IMAGES[held])]
    with pytest.raises(UserError, match=r"is not a complete image shard; run `dvc checkout --force "):
        list(each_image(tmp_path, IDS))


def test_a_table_that_is_no_shard_is_refused(tmp_path: Path) -> None:
    folder = dataset(tmp_path, IMAGES)
    (shard,) = (folder / "images").iterdir()
    pq.write_table(pq.read_table(shard, columns=["id"]), shard)
    with pytest.raises(UserError, match="is not a complete image shard"):
        list(each_image(folder, IDS))


def test_thumbnails_come_in_the_order_asked_for(tmp_path: Path) -> None:
    small = read_thumbnails(dataset(tmp_path, IMAGES), [IDS[9], IDS[2]], 80)
    assert list(small) == [IDS[9], IDS[2]]
    assert [pixels.shape for pixels in small.values()] == [(60, 80, 3), (8, 6, 1)]
    assert (small[IDS[2]] == 2).all()


def test_a_missing_and_a_damaged_image_say_what_to_do(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "a", {one: IMAGES[one] for one in IDS[:2]})
    damage(folder, IDS[1], IMAGES[IDS[1]][:50])
    with pytest.raises(UserError, match=rf"lacks 1 images, {'f' * 16} first; run `dvc checkout --force"):
        read_thumbnails(folder, [IDS[0], "f" * 16])
    with pytest.raises(UserError, match=rf"the image of {IDS[1]} is damaged \(.*\); run `dvc checkout --force"):
        read_thumbnails(folder, [IDS[1]])
