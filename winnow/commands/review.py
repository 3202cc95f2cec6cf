"""Look at images in the browser and decide on them with a key each; the decisions go to overrides.csv.

    winnow review [--port N] [--by NAME] [--no-browser]

It asks about the images where a look is worth most first, and estimates from a random sample how many faults are left.
It serves on this machine alone; the address that it prints has a token, without which nothing is answered.
"""

import argparse
import getpass
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from winnow.commands.terminal import run_command
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError
from winnow.verdicts.ledger import PIPELINE

HIGHEST_PORT = 65_535


def review(arguments: Sequence[str] | None, root: Path) -> tuple[str, int]:
    """Serve until it is interrupted; text and exit code."""
    parser = argparse.ArgumentParser(
        prog="winnow review", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--port", type=int, default=0, help="to listen on; left out, the last one, else any that is free"
    )
    parser.add_argument("--by", help="name that signs the decisions, git's user.name if left out")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= HIGHEST_PORT:
        raise UserError(f"--port must lie between 0 and {HIGHEST_PORT}, got {options.port}")
    by = " ".join((options.by if options.by is not None else user_name(root)).split())
    if by == PIPELINE:
        raise UserError(f"--by must name a person, got {PIPELINE}, which signs the pipeline's own verdicts")
    # Imported here, since they take a second, which --help and a wrong option need not wait for.
    from winnow.review.applying import Applying
    from winnow.review.server import serve
    from winnow.review.session import Session

    session = Session(root, by=by)
    if session.records.missing:
        print(
            f"winnow review: the queue knows less without {', '.join(session.records.missing)}; "
            "`dvc repro` makes it, `dvc pull` brings it",
            file=sys.stderr,
        )
    serve(session, Applying(root), port=options.port, browser=not options.no_browser, root=root)
    return "winnow review: ended", 0


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


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow review``."""
    run_command(command, lambda: review(words, ROOT))
