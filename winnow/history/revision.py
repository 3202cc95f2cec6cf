"""The pipeline's outputs as the workspace has them on disk, or as a commit has them in DVC's cache.

A commit's dvc.lock names the content of each of its outputs; the cache keeps content by hash, as
``files/md5/ab/cdef...``, and a folder as a JSON list of its files' hashes (``....dir``). Reading just that takes some
milliseconds. DVC itself is asked where the cache is, and to pull what it lacks from the default remote.
"""

import contextlib
import functools
import hashlib
import json
import logging
import posixpath
import subprocess
import sys
from collections.abc import Container, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from winnow.pipeline.messages import UserError, shown

WORKSPACE = "workspace"  # as DVC names it


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # dvc.lock of a whole pipeline: 30 times as fast


class Revision(Protocol):
    """One side of a comparison."""

    name: str

    def text(self, path: str) -> str | None:
        """A file that git tracks, or None if this revision has none."""

    def files(self, folder: str) -> list[str]:
        """The paths below a folder of data, by name."""

    def file(self, path: str) -> Path:
        """Where the bytes of a data file lie on this machine, pulled if they can be.

        Raises:
            UserError: they are not here and cannot be had.
        """


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


def read_yaml(revision: Revision, path: str) -> dict[str, Any]:
    """A YAML file of a revision, empty if there is none.

    Raises:
        UserError: it is not valid.
    """
    try:
        value = yaml.load(revision.text(path) or "", Loader=_Loader)
    except yaml.YAMLError as error:
        raise UserError(f"{revision.name}: {path} is not valid YAML: {' '.join(str(error).split())}") from None
    return value if isinstance(value, dict) else {}


def outputs(revision: Revision) -> dict[str, tuple[str, str | None]]:
    """By output path of dvc.lock, in its order: the stage, and the hash of the content."""
    stages = read_yaml(revision, "dvc.lock").get("stages") or {}
    try:
        return {out["path"]: (name, out.get("md5")) for name, entry in stages.items() for out in entry.get("outs", [])}
    except (AttributeError, KeyError, TypeError):
        raise UserError(f"{revision.name}: dvc.lock is not as DVC writes it; run `git checkout dvc.lock`") from None


def read_columns(revision: Revision, path: str, columns: Sequence[str]) -> pa.Table:
    """Some columns of a table.

    Raises:
        UserError: the table is not to be had, is damaged, or lacks a column.
    """
    file = revision.file(path)
    try:
        return pq.read_table(file, columns=list(columns), partitioning=None)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        words = shown(str(error).splitlines()[0])
        raise UserError(
            f"{revision.name}: {path} is no table with the columns {', '.join(columns)} ({words}); "
            f"if it is damaged, delete {file} and get it again with `dvc pull` or `dvc repro`"
        ) from None


def read_pngs(revision: Revision, dataset: str, ids: Sequence[str]) -> dict[str, bytes]:
    """PNG bytes by id, of those of the ids that the dataset's shards hold; no more shards are read than needed."""
    wanted, found = set(ids), dict[str, bytes]()
    shards = [path for path in revision.files(f"{dataset}/images") if path.endswith(".parquet")]
    for path in shards:
        if wanted <= found.keys():
            break
        table = read_columns(revision, path, ["id", "image"])
        rows = table.filter(pc.is_in(table["id"], pa.array(sorted(wanted), pa.string())))
        found |= {row["id"]: row["image"]["bytes"] for row in rows.to_pylist()}
    return found


def _holder(path: str, known: Container[str]) -> str | None:
    """The output that is, or that holds, a path."""
    candidates = (path, *(parent.as_posix() for parent in PurePosixPath(path).parents))
    return next((candidate for candidate in candidates if candidate in known), None)


def _unnamed(revision: Revision, path: str) -> str:
    """That no output is, or holds, a path, and which could have been meant."""
    folders = sorted(out for out, (_, md5) in outputs(revision).items() if md5 and md5.endswith(".dir"))
    if not folders:
        return f"dvc.lock names no {path}, nor any other folder; run `dvc repro`"
    return f"dvc.lock names no {path}; run `dvc repro`, or name another with --dataset: {', '.join(folders)}"


class Workspace:
    """What lies on disk."""

    def __init__(self, root: Path) -> None:
        self.name, self._root = WORKSPACE, root

    def text(self, path: str) -> str | None:
        """The file as it is now, committed or not."""
        file = self._root / path
        return file.read_text(encoding="utf-8") if file.exists() else None

    def files(self, folder: str) -> list[str]:
        """What the folder holds."""
        return sorted(f"{folder}/{file.name}" for file in (self._root / folder).glob("*"))

    def file(self, path: str) -> Path:
        """The file itself."""
        file = self._root / path
        if file.is_file():
            return file
        if _holder(path, outputs(self)) is None:
            raise UserError(f"{path} is not in the workspace, and {_unnamed(self, path)}")
        raise UserError(f"{path} is not in the workspace; run `dvc repro`, or `dvc pull` where it was made elsewhere")


class Commit:
    """What a commit's dvc.lock names, in the cache or on the remote."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self._root = name, root
        self._commit = resolve_commit(name, root)
        self._cache, self._remote = storage(root)
        if self.text("dvc.lock") is None:
            raise UserError(f"{name} has no dvc.lock; name a commit in which `dvc repro` has run")

    def text(self, path: str) -> str | None:
        """The file as it was committed."""
        return git(self._root, "show", f"{self._commit}:./{path}")

    def files(self, folder: str) -> list[str]:
        """What the folder's list of hashes names."""
        return sorted(path for path in self._listing(self._output_of(folder)) if path.startswith(f"{folder}/"))

    def file(self, path: str) -> Path:
        """The file in the cache."""
        output = self._output_of(path)
        md5 = self._outputs[path] if output == path else self._listing(output).get(path)
        if md5 is None:
            raise UserError(f"{self.name}: {output} holds no {posixpath.relpath(path, output)}")
        return self._object(md5, path)

    @functools.cached_property
    def _outputs(self) -> Mapping[str, str]:
        return {path: md5 for path, (_, md5) in outputs(self).items() if md5}

    def _output_of(self, path: str) -> str:
        """The output that is, or that holds, a path."""
        holder = _holder(path, self._outputs)
        if holder is None:
            raise UserError(f"{self.name}: {_unnamed(self, path)}")
        return holder

    def _listing(self, output: str) -> dict[str, str]:
        """Hash by path of a folder's files."""
        md5 = self._outputs[output]
        if not md5.endswith(".dir"):
            raise UserError(f"{self.name}: {output} is a file, not a folder; name a dataset with --dataset")
        file = self._object(md5, output)
        try:
            return {f"{output}/{entry['relpath']}": entry["md5"] for entry in json.loads(file.read_bytes())}
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{self.name}: the list of the files of {output} is damaged; delete {file} and get it again with "
                "`dvc pull` or `dvc repro`"
            ) from None

    def _object(self, md5: str, path: str) -> Path:
        file = self._cache / "files" / "md5" / md5[:2] / md5[2:]
        if not file.exists() and self._remote:
            pull_object(self._root, md5, where=f"{self.name}: {path}", remote=self._remote)
            if file.exists() and hashlib.md5(file.read_bytes()).hexdigest() != md5.removesuffix(".dir"):
                file.unlink()
                raise UserError(
                    f"{self.name}: {path} is damaged on the remote {self._remote}; run `make push` where it was made"
                )
        if file.exists():
            return file
        absent = f"{self.name}: {path} is not in the cache"
        if self._remote:
            raise UserError(
                f"{absent} nor on the remote {self._remote}; run `dvc push` where it was made, "
                f"or check out {self.name} and run `dvc repro`"
            )
        raise UserError(
            f"{absent}, and no default remote is set; check out {self.name} and run `dvc repro`, "
            "or set a remote that has it with `dvc remote default`"
        )


def git(root: Path, *arguments: str) -> str | None:
    """What a git command prints, or None if it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed, and revisions are read through it; install it") from None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def resolve_commit(name: str, root: Path) -> str:
    """The hash of the commit that a name stands for."""
    if git(root, "rev-parse", "--git-dir") is None:
        raise UserError(f"{root} is no git repository, so that it has no revisions to compare; run this in a clone")
    if name and not name.startswith("-"):
        commit = git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if commit is not None:
            return commit.strip()
    experiments = git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps") or ""
    for line in experiments.splitlines():
        commit, _, reference = line.partition(" ")
        if name and reference.rsplit("/", 1)[-1] == name:
            return commit
    raise UserError(
        f"{shown(name)} is no commit, branch, tag or experiment here; `git branch --all` and `dvc exp list` name them"
    )


def storage(root: Path) -> tuple[Path, str | None]:
    """DVC's cache folder, and the name of the default remote if one is set."""
    from dvc.config import Config, ConfigError

    folder = root / ".dvc"
    if not folder.is_dir():
        raise UserError(f"{root} is no DVC repository: it has no .dvc; run this in a clone of one")
    try:
        config = Config(str(folder))
    except ConfigError as error:
        raise UserError(f".dvc/config cannot be read ({error}); mend it with `dvc config`") from None
    return Path(config["cache"].get("dir") or folder / "cache"), config["core"].get("remote")


def pull_object(root: Path, md5: str, *, where: str, remote: str) -> None:
    """Bring one object from the remote into the cache, if the remote has it."""
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    logging.getLogger("dvc").setLevel(logging.CRITICAL)  # what is missing is told once, by the caller
    try:
        with contextlib.redirect_stdout(sys.stderr), Repo(str(root)) as repo:
            repo.cloud.pull([HashInfo("md5", md5)])
    except Exception as error:  # each kind of remote raises its own library's errors
        words = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{where} is not in the cache, and the remote {remote} could not be read ({words}); "
            "try `dvc pull`, which says more"
        ) from None
