"""The ``winnow`` command: one word, then that command's own options.

A command's module is imported only when it is asked for, so that ``winnow --help`` answers at once.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {  # name: (module, what it does)
    "init": ("init", "make a repository of your own, with Winnow as an installed, pinned package"),
    "tour": ("tour", "look at a finished dataset that comes with a clone: report, review, metrics diff"),
    "run": ("run", "run the pipeline and print its table"),
    "reproduce": ("run", "the full table with more seeds, resumable, with the time left"),
    "apply": ("apply", "carry the decisions of overrides.csv into the refined set and its export, within seconds"),
    "diff": ("diff", "compare a dataset between two revisions, sample by sample"),
    "why": ("why", "tell one image's story: verdicts, evidence, copies, where it is now"),
    "export": ("export", "write the judged images for FiftyOne, Label Studio or cleanlab"),
    "decide": ("decide", "take decisions over from a report's reader, or from another tool, into overrides.csv"),
    "review": ("review", "look at images in the browser and decide with a key each"),
    "push": ("transfer", "dvc push, every object's checksum verified"),
    "pull": ("transfer", "dvc pull that changes data/ only when everything came whole"),
    "fsck": ("fsck", "hash workspace, cache and remote against dvc.lock; say what is wrong and how to mend it"),
}

HELP = {"-h", "--help"}  # asked for, nothing is checked or written


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
    if HELP.isdisjoint(given):
        importlib.import_module("winnow.commands.site_cache").guard(name)
        importlib.import_module("winnow.commands.where").demand_pipeline(name)
    importlib.import_module(f"winnow.commands.{COMMANDS[name][0]}").main(name, given[1:])


if __name__ == "__main__":
    main()
