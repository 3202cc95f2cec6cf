"""``winnow apply``: carry the decisions of overrides.csv into data/refined and data/export, and train nothing.

    winnow apply

The stages overrides, refined and export run, and no other; dvc.lock is written once, at the end. The metrics and the
report are then of the dataset before; ``make run`` brings them up to date.
"""

import argparse
from collections.abc import Sequence

from winnow.commands.checks import OVERRIDES, check_lock, check_merged, check_overrides
from winnow.commands.decided import taken_back
from winnow.commands.leftovers import sweep_root
from winnow.commands.run import one_run
from winnow.commands.stages_alone import run_stages
from winnow.commands.terminal import ending_in_a_sentence

STAGES = ("overrides", "refined", "export")
REMEDY = "Without a finished run here, `make pull` brings one, or `make run` makes one"


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow apply``."""
    argparse.ArgumentParser(
        prog=f"winnow {command}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(words)
    with ending_in_a_sentence(command), one_run():
        sweep_root()
        check_merged()
        check_lock()
        check_overrides(OVERRIDES)
        done = run_stages(STAGES, OVERRIDES, remedy=REMEDY)
        held = taken_back()
    remedy = "`make run` measures what that gains" if done else "nothing had changed"
    print(f"apply: data/refined and data/export have the decisions of overrides.csv; {remedy}")
    if held:
        print(
            f"apply: {held} images stay as people decided before the first round (decided.csv), although overrides.csv "
            "takes that back; `make run DECIDED=1` carries it out"
        )
