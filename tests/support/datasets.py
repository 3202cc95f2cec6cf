"""Small datasets for tests, made as prepare makes them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from winnow.dataset.images import SHARD_SCHEMA, encode_png, write_dataset
from winnow.dataset.samples import sample_id, samples_table
from winnow.verdicts.overrides import write_overrides

CLASSES = ["i", "ii", "iii"]


def make_dataset(folder: Path, counts: dict[str, int], *, classes: list[str] = CLASSES, seed: int = 0) -> Path:
    """A dataset of grey 16 x 16 noise whose brightness tells the class; ``counts`` is images by split."""
    generator = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    images = []
    for split, count in counts.items():
        for number in range(count):
            k = number % len(classes)
            pixels = generator.integers(40 * k, 40 * k + 120, (16, 16, 1), dtype=np.uint8)
            name = f"{split}/{classes[k]}/{number}.png"
            png = encode_png(pixels)
            identifier = sample_id(name, png)
            row = {"id": identifier, "name": name, "split": split, "label": classes[k], "given_label": classes[k]}
            row |= {"origin": "source", "pixel_hash": identifier}
            rows.append({**row, "channels": 1, "width": 16, "height": 16, "group": identifier})
            images.append((identifier, png))
    write_dataset(folder, samples_table(rows, classes), images=images)
    return folder


def damage(dataset: Path, identifier: str, content: bytes) -> None:
    """Put other bytes in the place of an image in a dataset's shards."""
    for shard in (dataset / "images").glob("*.parquet"):
        rows = pq.read_table(shard, schema=SHARD_SCHEMA).to_pylist()
        for row in rows:
            if row["id"] == identifier:
                row["image"]["bytes"] = content
        pq.write_table(pa.Table.from_pylist(rows, schema=SHARD_SCHEMA), shard)


def no_overrides(folder: Path) -> Path:
    """The table of the stage ``overrides`` where nobody said anything."""
    write_overrides(folder / "overrides.parquet", {})
    return folder / "overrides.parquet"
