"""Where the code lies, and which repository a command is about.

In a clone of Winnow both are one folder. In a repository of the user's own, which ``winnow init`` makes, the code is an
installed package: the file winnow.lock marks the repository and says which code its outputs are of.
"""

from pathlib import Path

CODE = Path(__file__).resolve().parents[2]  # the folder of winnow/ and stages/
MARK = "winnow.lock"


def find_root(start: Path | None = None, code: Path = CODE) -> Path:
    """The repository: the user's own that a folder is in, else the folder of the code.

    Args:
        start: the folder; by default the process's own, which may have been removed.
        code: the folder of the code.
    """
    try:
        start = start or Path.cwd()
    except FileNotFoundError:
        return code
    for folder in (start, *start.parents):
        if (folder / ".dvc").is_dir():  # the nearest repository decides
            return folder if (folder / MARK).is_file() else code
    return code
