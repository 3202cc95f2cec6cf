"""Images of a dataset, a few in memory at a time."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from winnow.dataset import images as module
from winnow.dataset.samples import samples_table
from winnow.dataset.streaming import every_image, stored_images, write_dataset
from winnow.pipeline.messages import UserError

IDS = [f"{number:016x}" for number in range(50)]


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "SHARD_ROWS", 20)
    rows: list[dict[str, object]] = [
        {"id": one, "name": one, "split": "train", "label": "x", "given_label": "x", "origin": "source"} for one in IDS
    ]
    images = ((one, bytes([number]) * (number + 1)) for number, one in enumerate(IDS))
    write_dataset(tmp_path / "set", samples_table(rows, ["x"]), images=images)
    return tmp_path / "set"


def test_it_gives_what_stored_images_gives(dataset: Path) -> None:
    wanted = [*IDS[::3], IDS[0]]
    found = list(every_image(dataset, wanted))
    assert len(found) == len(set(wanted))
    assert dict(found) == stored_images(dataset, wanted)
    assert list(every_image(dataset, [])) == []


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    """Images of 1 MB in one shard, two in a row group: what is held is a few of them, not the shard."""
    count, size = 64, 1 << 20
    content = {f"{number:016x}": bytes([number]) * size for number in range(count)}
    rows = [{"id": one, "image": {"bytes": image, "path": one}} for one, image in content.items()]
    (tmp_path / "images").mkdir()
    table = pa.Table.from_pylist(rows, schema=module.SHARD_SCHEMA)
    pq.write_table(table, tmp_path / "images/0.parquet", row_group_size=2, use_dictionary=False)
    del rows, table
    before, most = pa.total_allocated_bytes(), 0
    for identifier, found in every_image(tmp_path, content):
        assert found == content[identifier]
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 16 * size


def test_what_is_missing_or_damaged_is_told(dataset: Path) -> None:
    with pytest.raises(UserError, match=r"set/images lacks 1 images, zz first; run `dvc checkout"):
        list(every_image(dataset, ["zz", IDS[3]]))
    shard = min((dataset / "images").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-50])
    with pytest.raises(UserError, match=rf"{shard.name} is not a complete image shard"):
        list(every_image(dataset, IDS))
