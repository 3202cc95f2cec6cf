"""Whether a command that is about a pipeline was given where there is one."""

import sys
from pathlib import Path

from winnow.commands.terminal import TROUBLE
from winnow.pipeline.files import ROOT

ANYWHERE = ("init", "tour", "push", "pull", "fsck")  # they make a repository, or take any of DVC


def demand_pipeline(name: str, root: Path = ROOT) -> None:
    """End a command with one sentence and exit code 2 where it has no pipeline.

    Args:
        name: of the command.
        root: of the repository that it would be about.
    """
    if name in ANYWHERE or (root / "dvc.yaml").is_file():
        return
    remedy = "go into yours, or make one with `winnow init DIR`"
    print(f"{name}: {Path.cwd()} is in no repository with Winnow's pipeline; {remedy}", file=sys.stderr)
    sys.exit(TROUBLE)
