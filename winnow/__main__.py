"""The ``winnow`` command: one word, then that command's own options.

A command's module is imported only when it is asked for, so that ``winnow --help`` answers at once.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {  # name: (module, what it does)
    "run": ("run", "run the pipeline and print its table"),
    "reproduce": ("run", "the full table with more seeds, resumable, with the time left"),
    "diff": ("diff", "compare a dataset between two revisions, sample by sample"),
    "why": ("why", "tell one image's story: verdicts, evidence, copies, where it is now"),
    "push": ("transfer", "dvc push, every object's checksum verified"),
    "pull": ("transfer", "dvc pull that changes data/ only when everything came whole"),
    "fsck": ("fsck", "hash workspace, cache and remote against dvc.lock; say what is wrong and how to mend it"),
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the command that the first word names with the others.

    Args:
        words: the command line; by default the process's.
    """
    listing = "\n".join(f"  {name:<11}{about}" for name, (_, about) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="winnow",
        usage="winnow COMMAND [OPTION ...]",
        description="Refine a folder of labelled images and measure what that gains.",
        epilog=f"commands:\n{listing}\n\n`winnow COMMAND --help` lists a command's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, help="one of those below")
    given = list(sys.argv[1:] if words is None else words)
    name = parser.parse_args(given[:1]).command
    importlib.import_module("winnow.commands.site_cache").guard(name)
    importlib.import_module(f"winnow.commands.{COMMANDS[name][0]}").main(name, given[1:])


if __name__ == "__main__":
    main()
