"""The files of this repository that a repository of the user's own starts with.

They are links to the files of the clone, and in an installed package copies of them: neither is kept by hand. Their
names have no dot in front, and dvc.yaml another name, because git and DVC would take them for files of their own.

The user of a clone edits some of them: params.yaml then names a private source. So a clone delivers what its last
commit has, which is also what the pin leads to. Its .dvc/config is no link, since a commit may have a remote there.
"""

import subprocess
from pathlib import Path

from winnow.pipeline.messages import UserError
from winnow.pipeline.repository import CODE

FOLDER = Path(__file__).parent / "files"


def delivered(name: str) -> str:
    """The text of one of them, by its path in the folder.

    Raises:
        UserError: the code is a clone whose last commit cannot be read, or does not have the file.
    """
    return _text(FOLDER / name)


def delivered_in(folder: str) -> dict[str, str]:
    """The texts of a folder's files, by name.

    Raises:
        UserError: as above.
    """
    return {file.name: _text(file) for file in sorted((FOLDER / folder).iterdir())}


def _text(file: Path) -> str:
    if not (CODE / ".git").exists():
        return file.read_text(encoding="utf-8")
    path = file.resolve().relative_to(CODE).as_posix()
    command = ["git", "-C", str(CODE), "cat-file", "blob", f"HEAD:{path}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed; install it, and run this again") from None
    if done.returncode:
        why = " ".join(done.stderr.decode(errors="replace").split())
        where = f"{CODE / path} is delivered as the clone's last commit has it"
        raise UserError(f"{where}, and git says: {why}; mend that, or commit the file")
    return done.stdout.decode()
