"""What git and DVC are asked for: commits, where the cache is, an object of the remote."""

import contextlib
import logging
import subprocess
import sys
from pathlib import Path

from winnow.shown import shown
from winnow.stage import UserError


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
