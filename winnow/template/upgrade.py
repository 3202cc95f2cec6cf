"""Bring a repository of the user's own to the Winnow that is installed.

What was delivered then, what the user made of it and what is delivered now are merged by ``git merge-file``, so that
edits stay. Killed half-way, it is started again: a file that is merged already merges to itself.
"""

import subprocess
import tempfile
from pathlib import Path

from winnow.pipeline.files import write_bytes
from winnow.pipeline.installed import read_mark, version
from winnow.pipeline.messages import UserError
from winnow.pipeline.repository import MARK
from winnow.template.contents import base_path, first_files, kept_files, written_files

REQUIREMENTS = "requirements.txt"
MOST_CONFLICTS = 127  # that git merge-file's exit code can count; beyond it are errors


def upgrade(root: Path) -> str:
    """Merge the delivered files and write winnow.lock anew; what was done.

    Args:
        root: of the repository.

    Raises:
        UserError: it is no repository that ``winnow init`` made, or git cannot merge.
    """
    if not (root / MARK).is_file():
        raise UserError(f"this folder is in no repository that `winnow init` made: there is no {MARK}")
    before = read_mark(root)["version"]
    changed, conflicts, gone = [], [], []
    for path, text in kept_files().items():
        delivered = _read(root / base_path(path))
        mine = _read(root / path)
        if text != delivered:
            if mine is None and delivered is not None:
                gone.append(path)
            else:
                merged, conflict = _merged(mine, delivered, text)
                write_bytes(root / path, merged.encode())
                changed.append(path)
                conflicts += [path] if conflict else []
            write_bytes(root / base_path(path), text.encode())
    pin = _read(root / REQUIREMENTS) or ""
    for path, text in first_files(remote=False).items():
        if path != REQUIREMENTS and not (root / path).exists():
            write_bytes(root / path, text.encode())
    for path, text in written_files(remote="winnow[remote]" in pin).items():
        write_bytes(root / path, text.encode())
    lines = [f"from Winnow {before} to {version()}; changed: {', '.join([*changed, MARK])}"]
    lines += [f"{path} was removed here and stays so" for path in gone]
    lines += [f"{path} has conflicts: choose between the marked lines" for path in conflicts]
    return "\n".join([*lines, "`git diff` shows it; `winnow run` then runs the stages whose code or params changed"])


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _merged(mine: str | None, base: str | None, new: str) -> tuple[str, bool]:
    """The user's text and the new one merged, and whether they contradict each other."""
    if mine is None or mine in (base, new):
        return new, False
    with tempfile.TemporaryDirectory(prefix="winnow-upgrade-") as name:
        files = [Path(name, part) for part in ("yours", "before", "delivered")]
        for file, text in zip(files, (mine, base or "", new), strict=True):
            file.write_text(text, encoding="utf-8")
        labels = [word for file in files for word in ("-L", file.name)]
        done = subprocess.run(["git", "merge-file", "-p", *labels, *files], capture_output=True, text=True, check=False)
    if not 0 <= done.returncode <= MOST_CONFLICTS:
        raise UserError(f"git merge-file failed: {' '.join(done.stderr.split())}")
    return done.stdout, done.returncode > 0
