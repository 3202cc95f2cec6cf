"""Pictures of a revision's samples for a page, read one by one from the shards of a dataset."""

from collections.abc import Sequence

from winnow.dataset.streaming import images_in_shard
from winnow.history.revision import Revision, damaged_table
from winnow.pictures.decode import UnreadableError
from winnow.pictures.embed import Picture, embed
from winnow.pipeline.checksums import DamagedError
from winnow.pipeline.messages import UserError


def read_pictures(revision: Revision, dataset: str, ids: Sequence[str]) -> dict[str, Picture]:
    """Pictures for a page by id, of those of the ids that the dataset's shards hold.

    No more shards are read than needed, and of these a few images at once, since photographs are large.

    Raises:
        UserError: a shard is not to be had, or it or an image is damaged.
    """
    missing, found = set(ids), dict[str, Picture]()
    for path in (path for path in revision.files(f"{dataset}/images") if path.endswith(".parquet")):
        if not missing:
            break
        file = revision.file(path)
        try:
            for one, content in images_in_shard(file, frozenset(missing)):
                found[one] = _picture(revision, path, one, content)
        except (DamagedError, FileNotFoundError) as error:
            raise damaged_table(revision, path, file, error) from None
        missing -= found.keys()
    return found


def _picture(revision: Revision, path: str, identifier: str, content: bytes) -> Picture:
    try:
        return embed(content)
    except UnreadableError as reason:
        raise UserError(
            f"{revision.name}: the image of {identifier} in {path} is damaged ({reason}); get the folder again with "
            "`dvc checkout --force`, or with `dvc repro`"
        ) from None
