"""What killed commands left half-written at the root of the repository."""

import os
from pathlib import Path

from winnow.commands.checks import CHECKED, DECIDED, LOCK, OVERRIDES
from winnow.pipeline.durable import sweep
from winnow.pipeline.files import ROOT
from winnow.pipeline.params import PARAMS


def sweep_root(root: Path = ROOT) -> None:
    """Remove it, by the names of the files; no other run may be at work.

    People's decisions are swept under their lock: the review server or ``winnow decide`` may be writing them now.
    """
    from winnow.verdicts.decisions_file import locked

    for file in (PARAMS, LOCK):
        sweep(root, file.name)
    for file in (OVERRIDES, DECIDED, CHECKED):
        path = Path(os.path.realpath(root / file.name))  # where its writers are, if it is a link
        with locked(path):
            sweep(path.parent, path.name)
