"""A folder of many files that a stage writes again: what is the same stays, so that a small change is quick."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from winnow.pipeline.durable import sync_folder
from winnow.pipeline.files import write_bytes


class KeptFolder:
    """The folder, without the files that are not to be in it any more."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        """Make the folder where it is missing, and remove from it all but ordinary files of these names.

        Args:
            root: the folder; of a link in its place the link is removed, and what it leads to stays.
            names: of the files that will be written, as paths from the root.
        """
        self._root, self._changed = root, False
        if root.is_symlink() or root.is_file():
            root.unlink()
        root.mkdir(parents=True, exist_ok=True)
        self._there = set(_kept(root, "", set(names)))

    def write(self, name: str, content: bytes) -> None:
        """Write a file, unless it is there with this content.

        Args:
            name: one of the names.
            content: of the file.

        Raises:
            UserError: no room on the disk.
        """
        path = self._root / name
        if name in self._there and _has(path, content):
            return
        self._changed = True
        write_bytes(path, content, sync=False)

    def sync(self) -> None:
        """Bring what was written to the disk."""
        if self._changed:
            sync_folder(self._root)


def _kept(folder: Path, within: str, names: set[str]) -> list[str]:
    """The names that stay of a folder, once all else is removed from it, folders without files as well."""
    kept = []
    with os.scandir(folder) as entries:
        for entry in list(entries):
            name = f"{within}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                below = _kept(Path(entry.path), f"{name}/", names)
                if not below:
                    shutil.rmtree(entry.path)
                kept += below
            elif entry.is_file(follow_symlinks=False) and name in names:
                kept.append(name)
            else:
                Path(entry.path).unlink()
    return kept


def _has(path: Path, content: bytes) -> bool:
    """Whether a file has this content and nothing else."""
    return path.stat().st_size == len(content) and path.read_bytes() == content
