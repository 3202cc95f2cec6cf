"""Images as a dataset stores them: PNG bytes, not decoded, so that a copy is the same file and grey stays grey."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from winnow.stage import UserError


def stored_images(folder: Path, ids: Iterable[str]) -> dict[str, bytes]:
    """PNG bytes by id, in the order asked.

    Args:
        folder: of the dataset.
        ids: each once or more.

    Raises:
        UserError: an id has no image in the dataset's shards.
    """
    wanted = dict.fromkeys(ids)
    found: dict[str, bytes] = {}
    for shard in sorted((folder / "images").glob("*.parquet")):
        table = pq.read_table(shard, columns=["id", "image"])
        contents = table["image"].combine_chunks().field("bytes")
        for row, identifier in enumerate(table["id"].to_pylist()):
            if identifier in wanted and identifier not in found:
                found[identifier] = contents[row].as_py()
    missing = [identifier for identifier in wanted if identifier not in found]
    if missing:
        raise UserError(f"{folder}/images lacks {len(missing)} images, {missing[0]} first; run `dvc checkout {folder}`")
    return {identifier: found[identifier] for identifier in wanted}
