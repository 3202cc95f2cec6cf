"""What the workspace and the cache have for what dvc.lock names: every file is read, DVC's own memory is not asked."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from tqdm import tqdm

from winnow.commands import objects
from winnow.commands.remedies import Item, State
from winnow.pipeline.messages import UserError

BLOCK = 1 << 20  # bytes read at once


UNREADABLE = "unreadable"  # stands for the MD5 of a file whose bytes the disk does not give


class Hashes:
    """MD5s of files, each read once: what is linked to several names is one file."""

    def __init__(self, bar: tqdm) -> None:
        self._bar = bar
        self._known: dict[tuple[int, int], str] = {}
        self.read_bytes = 0

    def md5(self, path: str) -> str | None:
        """The MD5 of a file's bytes, or of what a link leads to; None where there is no file."""
        if not os.path.isfile(path):
            return None
        status = os.stat(path)
        key = (status.st_dev, status.st_ino)
        if key not in self._known:
            self._known[key] = self._read(path)
        return self._known[key]

    def forget(self) -> None:
        """Read everything again when it is asked for: files were changed."""
        self._known.clear()

    def _read(self, path: str) -> str:
        total = hashlib.md5(usedforsecurity=False)
        try:
            with open(path, "rb") as stream:
                while block := stream.read(BLOCK):
                    total.update(block)
                    self.read_bytes += len(block)
                    self._bar.update(len(block))
        except PermissionError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); make it readable and run this again") from None
        except OSError:  # the disk's error is the damage that is looked for
            return UNREADABLE
        return total.hexdigest()


class Inspection:
    """The outputs of a repository, as they are on the disk now."""

    def __init__(self, repo: Repo, hashes: Hashes) -> None:
        self._repo, self._hashes = repo, hashes
        self.items: list[Item] = []
        self.cache: dict[str, State] = {}  # by object that the cache is to hold
        self.copies: dict[str, tuple[Any, str]] = {}  # by object a whole copy elsewhere: file system, path
        self.unmade: list[str] = []  # outputs for which nothing is recorded
        for out in sorted(repo.index.outs, key=lambda out: str(out.fs_path)):
            if out.hash_info and out.hash_info.name == "md5":
                self.items += self._folder(out) if out.hash_info.isdir else [self._file(out)]
            else:
                self.unmade.append(os.path.relpath(out.fs_path))

    def refresh_cache(self) -> None:
        """Look at the cache again."""
        self._hashes.forget()
        for oid in self.cache:
            self.cache[oid] = self._stored(oid)

    def _file(self, out: Any) -> Item:
        return self._item(out, os.path.relpath(out.fs_path), out.hash_info.value, self._here(out.fs_path))

    def _here(self, path: str) -> Callable[[str], State]:
        """Tells from the MD5 that is wanted what stands at a path; a link that leads nowhere is missing."""
        found = self._hashes.md5(path)
        missing = State.OTHER if os.path.exists(path) else State.MISSING  # a folder where a file is wanted
        return lambda md5: missing if found is None else State.WHOLE if found == md5 else State.OTHER

    def _folder(self, out: Any) -> Iterator[Item]:
        oid, path = out.hash_info.value, os.path.relpath(out.fs_path)
        there = self._walk(out)
        if out.use_cache and self._look(oid) is State.WHOLE:
            named = objects.members(self._repo.cache.local, oid)
            yield self._item(out, path, oid, lambda _: State.WHOLE if os.path.isdir(path) else _absent(path))
            for inside, member in sorted(named.items()):
                here = self._here(os.path.join(path, inside)) if os.path.isdir(path) else lambda _: State.UNSEEN
                yield self._item(out, os.path.join(path, inside), member, here)
            for inside in sorted(set(there) - set(named)):
                yield Item(os.path.join(path, inside), path, out.stage.addressing, "", State.EXTRA, cached=False)
            return
        hashed = {inside: self._hashes.md5(file) or UNREADABLE for inside, file in there.items()}
        listed = _listed(hashed)
        whole = listed.oid == oid
        if whole and out.use_cache:
            self.copies[oid] = (listed.fs, listed.path)  # in memory
        state = State.WHOLE if whole else State.OTHER if os.path.isdir(path) else _absent(path)
        yield self._item(out, path, oid, lambda _: state)
        for inside, member in sorted(hashed.items()) if whole and out.use_cache else ():
            yield self._item(out, os.path.join(path, inside), member, lambda _: State.WHOLE)

    def _item(self, out: Any, path: str, oid: str, here: Callable[[str], State]) -> Item:
        state = here(oid)
        if out.use_cache:
            self._look(oid)
            if state is State.WHOLE and not oid.endswith(".dir"):
                self.copies[oid] = (out.fs, os.path.realpath(path))
        return Item(
            path,
            os.path.relpath(out.fs_path),
            out.stage.addressing,
            oid,
            state,
            cached=out.use_cache,
            made=bool(out.stage.cmd),
            pushed=out.use_cache and out.can_push,
            committed=not out.use_cache and state is not State.WHOLE and self._committed(out),
        )

    def _walk(self, out: Any) -> dict[str, str]:
        """By path inside a folder its files, without what .dvcignore names."""
        found = self._repo.dvcignore.find(out.fs, out.fs_path) if os.path.isdir(out.fs_path) else ()
        return {os.path.relpath(file, out.fs_path): file for file in found}

    def _look(self, oid: str) -> State:
        if oid not in self.cache:
            self.cache[oid] = self._stored(oid)
        return self.cache[oid]

    def _stored(self, oid: str) -> State:
        found = self._hashes.md5(self._repo.cache.local.oid_to_path(oid))
        return State.MISSING if found is None else State.WHOLE if found == oid.removesuffix(".dir") else State.OTHER

    def _committed(self, out: Any) -> bool:
        """Whether git's last commit has the bytes that dvc.lock names of an output."""
        path = os.path.relpath(out.fs_path)
        names = _git("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", path).decode().split("\0")
        blobs = {name: hashlib.md5(_git("show", f"HEAD:./{name}")).hexdigest() for name in names if name}
        if out.hash_info.isdir:
            listed = _listed({os.path.relpath(name, path): md5 for name, md5 in blobs.items()})
            return bool(listed.oid == out.hash_info.value)
        return bool(list(blobs.values()) == [out.hash_info.value])


def _absent(path: str) -> State:
    """The state of a folder that is not there: something else may stand in its place."""
    return State.OTHER if os.path.lexists(path) else State.MISSING


def _listed(hashed: dict[str, str]) -> Any:
    """DVC's list of a folder's files, from their MD5s by path."""
    tree: Any = Tree.from_list([])
    for inside, md5 in hashed.items():
        tree.add(Path(inside).parts, None, HashInfo("md5", md5))
    tree.digest()
    return tree


def _git(*arguments: str) -> bytes:
    """What git prints; nothing where it fails, as where there is no commit."""
    return subprocess.run(["git", *arguments], capture_output=True, check=False).stdout
