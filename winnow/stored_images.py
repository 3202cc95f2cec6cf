"""Images as a dataset stores them: PNG bytes, not decoded, so that a copy is the same file and grey stays grey."""

from collections.abc import Iterable
from pathlib import Path

from winnow.dataset import read_shards
from winnow.stage import UserError


def stored_images(folder: Path, ids: Iterable[str]) -> dict[str, bytes]:
    """PNG bytes by id, in the order asked.

    Args:
        folder: of the dataset.
        ids: each once or more.

    Raises:
        UserError: an id has no image in the dataset's shards, or one of these is damaged.
    """
    wanted = dict.fromkeys(ids)
    found: dict[str, bytes] = {}
    for _, there, contents in read_shards(folder):
        for row, identifier in enumerate(there):
            if identifier in wanted and identifier not in found:
                found[identifier] = contents[row].as_py()
    missing = [identifier for identifier in wanted if identifier not in found]
    if missing:
        raise UserError(
            f"{folder}/images lacks {len(missing)} images, {missing[0]} first; run `dvc checkout --force {folder}`"
        )
    return {identifier: found[identifier] for identifier in wanted}
