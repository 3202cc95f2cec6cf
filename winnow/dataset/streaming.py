"""Images of a dataset one after another: photographs do not fit into memory as their files do not.

``stored_images`` holds all that it returns at once. Here a shard is read in pieces of
a few images, as far as it was written in pages or row groups of a few.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.pictures.decode import UnreadableError
from winnow.pictures.thumbnail import SIDE, thumbnail
from winnow.pipeline.checksums import DamagedError
from winnow.pipeline.files import open_parquet
from winnow.pipeline.messages import UserError

BATCH = 8  # images in memory at once, of any size


BUFFER = 1 << 20  # bytes read at once; without it pyarrow reads a column of a row group whole


def images_in_shard(
    shard: Path, ids: Collection[str], groups: Sequence[int] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Id and bytes as delivered of those of the ids that a shard holds, in its order; the rest is passed over.

    Args:
        shard: the file.
        ids: that are wanted.
        groups: of rows, that are read; None: all.

    Raises:
        DamagedError: the shard is damaged, or none.
        FileNotFoundError: it is not there.
    """
    with open_parquet(shard, buffer_size=BUFFER) as file:
        if not {"id", "image"} <= set(file.schema_arrow.names) or not pa.types.is_struct(
            file.schema_arrow.field("image").type
        ):
            raise DamagedError("it has no columns id and image {bytes, path}")
        for group in range(file.num_row_groups) if groups is None else groups:
            there = file.read_row_group(group, columns=["id"])["id"].to_pylist()
            if not any(identifier in ids for identifier in there):
                continue
            for batch in file.iter_batches(BATCH, row_groups=[group], columns=["id", "image"]):
                contents = batch["image"].field("bytes")
                for row, identifier in enumerate(batch["id"].to_pylist()):
                    if identifier in ids:
                        yield identifier, contents[row].as_py() or b""


def ids_in_shard(shard: Path, folder: Path) -> list[str]:
    """The ids of a shard of a dataset.

    Raises:
        UserError: it is damaged.
    """
    return [identifier for group in ids_by_group(shard, folder) for identifier in group]


def ids_by_group(shard: Path, folder: Path) -> list[list[str]]:
    """The ids of each row group of a shard of a dataset.

    Raises:
        UserError: it is damaged.
    """
    try:
        with open_parquet(shard) as file:
            return [
                file.read_row_group(group, columns=["id"])["id"].to_pylist() for group in range(file.num_row_groups)
            ]
    except (DamagedError, FileNotFoundError):
        raise incomplete(shard, folder) from None


def incomplete(shard: Path, folder: Path) -> UserError:
    """The error for a shard of a dataset that is damaged."""
    return UserError(f"{shard} is not a complete image shard; run `dvc checkout --force {folder}`")


def each_image(folder: Path, ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Id and bytes as delivered of those of the ids that a dataset's shards hold, each once, in the shards' order.

    An id that no shard holds is passed over; no shard is read after the last one is found.

    Raises:
        UserError: a shard is damaged.
    """
    yield from _take(folder, set(ids))


def _take(folder: Path, missing: set[str]) -> Iterator[tuple[str, bytes]]:
    """The images of the ids, each of which is removed from them as it is found."""
    for shard in sorted((folder / "images").glob("*.parquet")):
        if not missing:
            return
        try:
            for identifier, content in images_in_shard(shard, missing):
                missing.discard(identifier)
                yield identifier, content
        except (DamagedError, FileNotFoundError):
            raise incomplete(shard, folder) from None


def every_image(folder: Path, ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """As ``each_image``, where every id must have an image.

    Raises:
        UserError: also, an id has no image in the dataset's shards.
    """
    missing = set(ids)
    yield from _take(folder, missing)
    if missing:
        _raise_lacking(folder, [identifier for identifier in ids if identifier in missing])


def read_thumbnails(folder: Path, ids: Collection[str], side: int = SIDE) -> dict[str, npt.NDArray[np.uint8]]:
    """Thumbnails by id, in the order of the ids: (H, W, 1) or (H, W, 3) uint8, the longer side at most ``side`` pixels.

    Raises:
        UserError: an id has no image in the dataset's shards, or it or a shard is damaged.
    """
    small: dict[str, npt.NDArray[np.uint8]] = {}
    for identifier, content in each_image(folder, ids):
        try:
            small[identifier] = thumbnail(content, side)
        except UnreadableError as reason:
            raise damaged(folder, identifier, reason) from None
    lacking(folder, ids, small)
    return {identifier: small[identifier] for identifier in ids}


def damaged(folder: Path, identifier: str, reason: UnreadableError) -> UserError:
    """The error for an image of a dataset that gives no pixels."""
    return UserError(f"{folder}: the image of {identifier} is damaged ({reason}); run `dvc checkout --force {folder}`")


def lacking(folder: Path, ids: Collection[str], found: Collection[str]) -> None:
    """Raise for the ids that were not found.

    Raises:
        UserError: some of them have no image in the dataset's shards.
    """
    missing = [identifier for identifier in ids if identifier not in found]
    if missing:
        _raise_lacking(folder, missing)


def _raise_lacking(folder: Path, missing: Sequence[str]) -> NoReturn:
    raise UserError(
        f"{folder}/images lacks {len(missing)} images, {missing[0]} first; run `dvc checkout --force {folder}`"
    )
