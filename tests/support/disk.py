"""A disk that forgets what was not synced, beneath the file calls of the code under test.

Content is on the disk once its file was synced, and a name once its folder was. Of what was not synced, a loss of power
may take the content, the names or both: names that are changed may be on the disk long before the content is.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from winnow.pipeline import durable

World = dict[str, bytes]  # content by path below the root, after the power is back


class PowerLossError(BaseException):
    """The end of the process, as no except clause of the code sees it."""


class ForgetfulDisk:
    """The files below a folder, and what of them is on the disk."""

    def __init__(self, root: Path, *, loss_at: int = -1) -> None:
        """Args: ``root`` has what is on the disk already; ``loss_at`` numbers the call, from 0, that is not made."""
        self.root, self.loss_at, self.calls = root, loss_at, 0
        self.worlds: list[World] = []
        self._content: dict[int, bytes] = {}  # by inode
        self._names: dict[int, dict[str, int]] = {}  # of a folder by inode
        self._held: list[int] = []  # descriptors that keep the inodes of removed files from being used again
        self._os = {name: getattr(os, name) for name in ("open", "fsync", "replace", "link", "unlink", "mkdir")}
        for place, _, names in os.walk(root):
            self._names[os.stat(place).st_ino] = _listed(place)
            self._content |= {os.stat(file := Path(place, name)).st_ino: file.read_bytes() for name in names}

    @contextlib.contextmanager
    def mounted(self) -> Iterator[None]:
        """With the disk beneath os; the loss of power ends the block."""
        with contextlib.ExitStack() as stack:
            for name in self._os:
                stack.enter_context(mock.patch.object(os, name, self._counted(name)))
            stack.enter_context(mock.patch.object(durable, "sync_file_system", self._sync_all))
            with contextlib.suppress(PowerLossError):
                yield
            if not self.worlds:
                self.worlds = self._after_loss()
        for number in self._held:
            os.close(number)

    def _counted(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            makes = name != "open" or arguments[1] & os.O_CREAT
            if makes:
                if self.calls == self.loss_at:
                    self.worlds = self.worlds or self._after_loss()
                    raise PowerLossError
                self.calls += 1
            if name in ("replace", "unlink") and Path(arguments[-1]).is_file():
                self._held.append(self._os["open"](arguments[-1], os.O_RDONLY))
            if name == "fsync":
                self._sync(arguments[0])
                return None
            return self._os[name](*arguments, **named)

        return call

    def _sync(self, number: int) -> None:
        status = os.fstat(number)
        if stat.S_ISDIR(status.st_mode):
            self._names[status.st_ino] = _listed(number)
        else:
            self._content[status.st_ino] = Path(f"/proc/self/fd/{number}").read_bytes()

    def _sync_all(self, folder: Path) -> bool:
        assert folder.is_relative_to(self.root)
        for place, _, names in os.walk(self.root):
            self._names[os.stat(place).st_ino] = _listed(place)
            self._content |= {os.stat(file := Path(place, name)).st_ino: file.read_bytes() for name in names}
        return True

    def _after_loss(self) -> list[World]:
        """What may be there: without the names that were not synced, and with them."""
        return [self._world(lambda inode, place: self._names.get(inode, {})), self._world(lambda _, p: _listed(p))]

    def _world(self, names_of: Callable[[int, Path], dict[str, int]]) -> World:
        places = {os.stat(path).st_ino: Path(path) for path, _, _ in os.walk(self.root)}
        world: World = {}

        def enter(inode: int, path: str) -> None:
            for name, inside in names_of(inode, places[inode]).items():
                if inside in places:
                    enter(inside, f"{path}{name}/")
                else:
                    world[path + name] = self._content.get(inside, b"")

        enter(os.stat(self.root).st_ino, "")
        return {path: content for path, content in world.items() if not path.endswith(".partial")}


def _listed(folder: int | str | Path) -> dict[str, int]:
    with os.scandir(folder) as entries:
        return {entry.name: entry.inode() for entry in entries}
