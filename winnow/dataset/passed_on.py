"""What one dataset passes on to the next byte for byte: image shards, and the features of copies."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from winnow.dataset.streaming import ids_in_shard
from winnow.pipeline.checksums import DamagedError, verify
from winnow.pipeline.files import pass_on
from winnow.pipeline.messages import UserError

COPIES = "features"  # folder of a dataset: by the stage that made copies, their features


def pass_on_shards(folder: Path, samples: pa.Table, shards_from: Sequence[Path]) -> None:
    """The shards of other datasets that hold a sample of the table, and the features of their copies.

    Args:
        folder: of the new dataset, which has a folder ``images``.
        samples: its table.
        shards_from: the other datasets; of a shard that two have, the first's is taken.

    Raises:
        UserError: a file is damaged.
    """
    kept = set(samples["id"].to_pylist())
    for source in shards_from:
        for shard in sorted((source / "images").glob("*.parquet")):
            to = folder / "images" / shard.name
            if not to.exists() and not kept.isdisjoint(ids_in_shard(shard, source)):
                pass_on(shard, to)
        for file in sorted((source / COPIES).glob("*/*")):
            (folder / COPIES / file.parent.name).mkdir(parents=True, exist_ok=True)
            pass_on(_whole(file, source), folder / COPIES / file.parent.name / file.name)


def _whole(file: Path, source: Path) -> Path:
    try:
        verify(file)
    except DamagedError:
        raise UserError(f"{file} is damaged; run `dvc checkout --force {source}`") from None
    return file
