"""Who signs the decisions of a command."""

import getpass
import subprocess
from pathlib import Path

from winnow.pipeline.messages import UserError
from winnow.verdicts.ledger import PIPELINE


def signature(by: str | None, root: Path) -> str:
    """The name that signs decisions, on one line; empty where nothing tells it.

    Args:
        by: option ``--by``; None: git's user.name, else the name of the account.
        root: of the repository.

    Raises:
        UserError: it is the name that signs the pipeline's own verdicts.
    """
    name = " ".join((user_name(root) if by is None else by).split())
    if name == PIPELINE:
        raise UserError(f"--by must name a person, got {PIPELINE}, which signs the pipeline's own verdicts")
    return name


def user_name(root: Path) -> str:
    """git's user.name, else the name of the account; empty where there is neither."""
    try:
        found = subprocess.run(["git", "config", "user.name"], cwd=root, capture_output=True, text=True, check=False)
    except OSError:  # there is no git
        found = None
    name = found.stdout.strip() if found is not None else ""
    if name and name != PIPELINE:
        return name
    try:
        account = getpass.getuser()
    except (OSError, KeyError):
        return ""
    return "" if account == PIPELINE else account
