"""The pipeline's outputs as the workspace has them on disk, or as a commit has them in DVC's cache.

DVC itself reads a commit (``dvc.api.DVCFileSystem``): it resolves the name, knows the outputs and lists the files of a
folder. Two things are added. The commit is opened without its remote, so that what the cache holds is read without the
network and without the remote's libraries. And an object that the cache lacks is pulled into it and verified against
its checksum, which DVC does only where the remote's ``verify`` is set; a damaged object does not stay in the cache.
"""

import contextlib
import functools
import hashlib
import os
import posixpath
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from winnow.history.repository import open_repository, outputs_of, readable
from winnow.history.version_0_1 import other_name
from winnow.pipeline.checksums import DamagedError
from winnow.pipeline.files import open_parquet
from winnow.pipeline.messages import UserError, shown

WORKSPACE = "workspace"  # as DVC names it


class AbsentError(UserError):
    """Data is neither here nor on the remote, or the remote cannot be read."""


class Revision(Protocol):
    """One side of a comparison."""

    name: str

    @property
    def outputs(self) -> Mapping[str, str | None]:
        """The outputs of dvc.yaml that DVC caches, in its order: by path the checksum that dvc.lock has, if any.

        Raises:
            UserError: DVC cannot read the pipeline's files.
        """

    def files(self, folder: str) -> list[str]:
        """The paths of what lies in a folder of data, by name."""

    def file(self, path: str) -> Path:
        """Where the bytes of a data file lie on this machine, pulled if they can be.

        Raises:
            AbsentError: they are not here and cannot be had.
            UserError: nothing of that name is known.
        """

    def committed(self, path: str) -> bytes | None:
        """The bytes of a file that git has, not DVC; None where there is none."""


def open_revision(name: str, root: Path) -> Revision:
    """The revision of a name: ``workspace``, or what git or ``dvc exp`` calls a commit.

    Args:
        name: of a commit, branch, tag or experiment.
        root: the repository.

    Raises:
        UserError: there is no such revision, or no repository.
    """
    return Workspace(root) if name == WORKSPACE else Commit(name, root)


def repository_path(path: str, root: Path) -> str:
    """A path as dvc.lock writes it, from one that counts from the repository or is absolute."""
    inside = Path(path).relative_to(root) if Path(path).is_relative_to(root) else Path(path)
    return posixpath.normpath(inside.as_posix())


def read_columns(
    revision: Revision, path: str, columns: Sequence[str] | None = None, *, ids: pa.Array | None = None
) -> pa.Table:
    """Some columns of a table, or all of them.

    Args:
        revision: that has it.
        path: of the table.
        columns: by name; all by default.
        ids: of the rows that are wanted; None: all. Of the others a batch at a time is held.

    Raises:
        UserError: the table is not to be had, is damaged, or lacks a column.
    """
    file = revision.file(path)
    try:
        with open_parquet(file) as table:
            lacking = [name for name in columns or () if name not in table.schema_arrow.names]
            names = None if columns is None else list(columns)
            if not lacking and (ids is None or not table.metadata.num_rows):
                return table.read(columns=names)
            if not lacking:
                found = (batch.filter(pc.is_in(batch["id"], ids)) for batch in table.iter_batches(columns=names))
                return pa.Table.from_batches(found)
    except (DamagedError, FileNotFoundError) as error:
        raise damaged_table(revision, path, file, error) from None
    raise UserError(f"{revision.name}: {path} has no column {lacking[0]}; name a dataset with --dataset")


def damaged_table(revision: Revision, path: str, file: Path, error: Exception) -> UserError:
    """The error for a table whose bytes are here, and cannot be read."""
    return UserError(
        f"{revision.name}: {path} is not a whole parquet table ({shown(str(error).splitlines()[0])}); "
        f"delete {os.path.relpath(file)} and get it again with `dvc pull` or `dvc repro`"
    )


class Workspace:
    """What lies on disk."""

    def __init__(self, root: Path) -> None:
        self.name, self._root = WORKSPACE, root

    @functools.cached_property
    def outputs(self) -> Mapping[str, str | None]:
        """As dvc.yaml and dvc.lock are now, committed or not."""
        with readable(self.name, self._root):
            return outputs_of(open_repository(self._root))

    def files(self, folder: str) -> list[str]:
        """What the folder holds."""
        return sorted(f"{folder}/{file.name}" for file in (self._root / folder).glob("*"))

    def file(self, path: str) -> Path:
        """The file itself."""
        file = self._root / path
        if file.is_file():
            return file
        if _holder(path, self.outputs) is None:
            raise UserError(f"{path} is not in the workspace, and {_unnamed(self, path)}")
        raise AbsentError(f"{path} is not in the workspace; run `dvc repro`, or `dvc pull` where it was made elsewhere")

    def committed(self, path: str) -> bytes | None:
        """As it lies on disk, committed or not."""
        file = self._root / path
        return file.read_bytes() if file.is_file() else None


class Commit:
    """What a commit's dvc.lock names, in the cache or on the remote."""

    def __init__(self, name: str, root: Path) -> None:
        from dvc.api import DVCFileSystem

        self.name = name
        with readable(name, root):
            self._here = open_repository(root)  # whose cache and remote are asked
            commit = open_repository(root, rev=name or "no name", config={"core": {"remote": ""}})
            self._tree = DVCFileSystem(repo=commit)
            if not self._tree.exists("dvc.lock"):
                raise UserError(f"{name} has no dvc.lock; name a commit in which `dvc repro` has run")
            self.outputs = outputs_of(commit)

    def files(self, folder: str) -> list[str]:
        """What the folder's list of files names."""
        with self._listed(folder):
            return sorted(self._tree.ls(folder, detail=False))

    def file(self, path: str) -> Path:
        """The file in the cache."""
        with self._listed(path):
            info = self._tree.info(path)
        return self._object(info["dvc_info"]["md5"], path)

    def committed(self, path: str) -> bytes | None:
        """As the commit has it."""
        return bytes(self._tree.read_bytes(path)) if self._tree.isfile(path) else None

    @contextlib.contextmanager
    def _listed(self, path: str) -> Iterator[None]:
        """Look a path up; the list of files of the output that holds it is then in the cache, pulled if need be."""
        from dvc_data.index.index import DataIndexDirError

        output = _holder(path, self.outputs)
        md5 = self.outputs.get(output or "")
        if output is None or md5 is None:
            raise UserError(f"{self.name}: {_unnamed(self, path)}")
        listing = self._object(md5, output) if md5.endswith(".dir") else Path()
        try:
            yield
        except FileNotFoundError:
            raise UserError(f"{self.name}: {output} holds no {posixpath.relpath(path, output)}") from None
        except DataIndexDirError:
            raise UserError(
                f"{self.name}: the list of the files of {output} is damaged; delete {os.path.relpath(listing)} and get "
                "it again with `dvc pull` or `dvc repro`"
            ) from None

    def _object(self, md5: str, path: str) -> Path:
        """A file or a list of files in the cache, by its checksum."""
        file = Path(self._here.cache.local.oid_to_path(md5))
        remote = self._here.config["core"].get("remote")
        if not file.exists() and remote:
            self._pull(md5, path, remote)
            if file.exists() and hashlib.md5(file.read_bytes()).hexdigest() != md5.removesuffix(".dir"):
                file.unlink()
                raise UserError(
                    f"{self.name}: {path} is damaged on the remote {remote}; run `make push` where it was made"
                )
        if file.exists():
            return file
        again = f"check out {self.name} and run `dvc repro`"
        raise AbsentError(
            f"{self.name}: {path} is not in the cache nor on the remote {remote}; "
            f"run `dvc push` where it was made, or {again}"
            if remote
            else f"{self.name}: {path} is not in the cache, and no default remote is set; "
            f"{again}, or set a remote that has it with `dvc remote default`"
        )

    def _pull(self, md5: str, path: str, remote: str) -> None:
        """Bring one object from the remote into the cache, if the remote has it."""
        from dvc_data.hashfile.hash_info import HashInfo

        try:
            with contextlib.redirect_stdout(sys.stderr):
                self._here.cloud.pull([HashInfo("md5", md5)])
        except Exception as error:  # each kind of remote raises its own library's errors
            words = " ".join(str(error).split()) or type(error).__name__
            raise AbsentError(
                f"{self.name}: {path} is not in the cache, and the remote {remote} could not be read ({words}); "
                "try `dvc pull`, which says more"
            ) from None


def _holder(path: str, known: Container[str]) -> str | None:
    """The output that is, or that holds, a path."""
    candidates = (path, *(parent.as_posix() for parent in PurePosixPath(path).parents))
    return next((candidate for candidate in candidates if candidate in known), None)


def _unnamed(revision: Revision, path: str) -> str:
    """That no output is, or holds, a path, and which could have been meant."""
    folders = sorted(out for out, md5 in revision.outputs.items() if md5 and md5.endswith(".dir"))
    if not folders:
        return f"dvc.lock names no {path}, nor any other folder; run `dvc repro`"
    other = other_name(path)
    if other in folders:
        return f"dvc.lock names no {path}; in this revision it is {other}, which --dataset takes"
    return f"dvc.lock names no {path}; run `dvc repro`, or name another with --dataset: {', '.join(folders)}"
