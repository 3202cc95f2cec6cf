"""Pictures of a revision's samples for a page, read one by one from the shards of a dataset."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from winnow.dataset.streaming import images_in_shard
from winnow.history.revision import Revision, damaged_table
from winnow.pictures.decode import UnreadableError
from winnow.pictures.embed import Picture, embed
from winnow.pictures.thumbnail import thumbnail
from winnow.pipeline.checksums import DamagedError
from winnow.pipeline.messages import UserError

Made = TypeVar("Made")


def read_pictures(revision: Revision, dataset: str, ids: Sequence[str]) -> dict[str, Picture]:
    """Pictures for a page by id, of those of the ids that the dataset's shards hold.

    Raises:
        UserError: a shard is not to be had, or it or an image is damaged.
    """
    return _read(revision, dataset, ids, embed)


def read_thumbnails(
    revision: Revision, dataset: str, ids: Sequence[str], side: int
) -> dict[str, npt.NDArray[np.uint8]]:
    """The same as pixels, (H, W, 1) or (H, W, 3), the longer side at most ``side``."""
    return _read(revision, dataset, ids, lambda content: thumbnail(content, side))


def _read(revision: Revision, dataset: str, ids: Sequence[str], make: Callable[[bytes], Made]) -> dict[str, Made]:
    """What is made of each image's bytes.

    No more shards are read than needed, and of these a few images at once, since photographs are large.
    """
    missing, found = set(ids), dict[str, Made]()
    for path in (path for path in revision.files(f"{dataset}/images") if path.endswith(".parquet")):
        if not missing:
            break
        file = revision.file(path)
        try:
            for one, content in images_in_shard(file, frozenset(missing)):
                found[one] = _made(revision, path, one, content, make)
        except (DamagedError, FileNotFoundError) as error:
            raise damaged_table(revision, path, file, error) from None
        missing -= found.keys()
    return found


def _made(revision: Revision, path: str, identifier: str, content: bytes, make: Callable[[bytes], Made]) -> Made:
    try:
        return make(content)
    except UnreadableError as reason:
        raise UserError(
            f"{revision.name}: the image of {identifier} in {path} is damaged ({reason}); get the folder again with "
            "`dvc checkout --force`, or with `dvc repro`"
        ) from None
