"""Take decisions over into overrides.csv from files that somebody else made, or from another tool.

    winnow decide FILE.csv [FILE.csv ...]
    winnow decide --from fiftyone FOLDER|samples.json [--by NAME]
    winnow decide --from label-studio FILE.json [--by NAME]

FILE.csv has the form of overrides.csv, as the report writes it. Every row is checked before any is written; a row that
is there already is passed over, and of two about an image the later one counts. `winnow apply` carries them out. Rows
about label-book and test images go to checked.csv, which changes no data.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from winnow.commands.file_decisions import take_over
from winnow.commands.terminal import run_command
from winnow.commands.tool_decisions import TOOLS, take_over_from
from winnow.pipeline.files import ROOT


def answer(arguments: Sequence[str] | None, root: Path) -> tuple[str, int]:
    """Text and exit code for a command line."""
    parser = argparse.ArgumentParser(
        prog="winnow decide", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="of decisions, or what the tool exported")
    parser.add_argument("--from", dest="tool", choices=TOOLS, help="the tool that one FILE comes from")
    parser.add_argument(
        "--by", metavar="NAME", help="who decided, where the file does not say it; else git's user.name"
    )
    options = parser.parse_args(arguments)
    if options.tool is None:
        if options.by is not None:
            parser.error("--by belongs to --from; a file of decisions says who decided")
        return take_over(options.files, root), 0
    if len(options.files) > 1:
        parser.error("--from takes one FILE")
    return take_over_from(options.tool, options.files[0], root, options.by), 0


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow decide``."""
    run_command(command, lambda: answer(words, ROOT))
