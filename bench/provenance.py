"""The commit that figures are recorded with."""

import subprocess
from pathlib import Path

CODE = ("winnow", "stages", "bench", "dvc.yaml", "requirements.txt")  # what figures depend on


def commit_of(folder: Path, *more: str) -> str:
    """The commit that a repository is at, shortened.

    Args:
        folder: of the repository.
        more: files beside the code that the figures depend on.

    Raises:
        SystemExit: it is no repository, or its code is not what is committed.
    """
    changed = _git(folder, "status", "--porcelain", "--", *CODE, *more)
    if changed:
        raise SystemExit(f"{folder}: commit the code before figures are recorded with it; changed:\n{changed}")
    return _git(folder, "rev-parse", "--short=7", "HEAD")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{folder}: git {arguments[0]} says: {done.stderr.strip()}")
    return done.stdout.strip()
