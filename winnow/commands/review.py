"""Look at images in the browser and decide on them with a key each; the decisions go to overrides.csv.

    winnow review [--port N] [--by NAME] [--no-browser]

It asks about the images where a look is worth most first, and estimates from a random sample how many faults are left.
It serves on this machine alone; the address that it prints has a token, without which nothing is answered.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from winnow.commands.person import signature
from winnow.commands.terminal import run_command
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

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
    by = signature(options.by, root)
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


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow review``."""
    run_command(command, lambda: review(words, ROOT))
