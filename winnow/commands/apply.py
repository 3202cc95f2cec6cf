"""``winnow apply``: carry the decisions of overrides.csv into data/refined and data/export, and train nothing.

    winnow apply

The stages overrides, refined and export run, and no other; dvc.lock is written once, at the end. The metrics and the
report are then of the dataset before; ``make run`` brings them up to date.
"""

import argparse
import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc.stage import Stage

from winnow.commands.checks import OVERRIDES, check_lock, check_merged, check_overrides
from winnow.commands.decided import taken_back
from winnow.commands.run import one_run
from winnow.commands.terminal import ending_in_a_sentence
from winnow.pipeline.durable import sweep
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError
from winnow.verdicts.decisions_file import locked

STAGES = ("overrides", "refined", "export")
ATTEMPTS = 3  # to run a stage whose file of decisions is changed meanwhile


def main(command: str, words: Sequence[str]) -> None:
    """The command line of ``winnow apply``."""
    argparse.ArgumentParser(
        prog=f"winnow {command}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(words)
    with ending_in_a_sentence(command), one_run():
        sweep(ROOT)
        check_merged()
        check_lock()
        check_overrides(OVERRIDES)
        done = apply()
        held = taken_back()
    remedy = "`make run` measures what that gains" if done else "nothing had changed"
    print(f"apply: data/refined and data/export have the decisions of overrides.csv; {remedy}")
    if held:
        print(
            f"apply: {held} images stay as people decided before the first round (decided.csv), although overrides.csv "
            "takes that back; `make run DECIDED=1` carries it out"
        )


def apply(root: Path = ROOT) -> list[str]:
    """Run the three stages where something changed.

    ``dvc repro --single-item`` does the same, and reads and writes dvc.lock anew for each of them, which takes longer
    than the stages.

    Args:
        root: of the repository.

    Returns:
        The stages that ran.

    Raises:
        UserError: a stage failed, or DVC cannot work here.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    try:
        with Repo(str(root)) as repo, lock_repo(repo):
            stages = [stage for stage in repo.stage.load_all("dvc.yaml") if stage.name in STAGES]
            ran = []
            try:
                for stage in stages:
                    if _ran(stage, root / OVERRIDES.name):
                        ran.append(stage)
            finally:
                if ran:
                    ran[0].dvcfile.dump_stages(ran, update_pipeline=False)
            return [stage.name for stage in ran]
    except (DvcException, FileNotFoundError) as error:  # the second where what a run makes is not there
        raise UserError(
            f"stopped ({' '.join(str(error).split())}); lines above may say why; without a finished run here, "
            "`make pull` brings one, or `make run` makes one"
        ) from None


def _ran(stage: Stage, decisions: Path) -> bool:
    """Run a stage where something changed; whether something had.

    DVC hashes what a stage read when it has ended. The hash of a file of decisions must be that of what the stage read,
    else a decision saved meanwhile would be recorded as applied: the stage then runs again, at last with the file
    locked. Until that is known, nothing goes into DVC's run cache.

    Args:
        stage: that may read the file.
        decisions: overrides.csv.

    Raises:
        DvcException: the stage failed.
        UserError: a program that knows no lock changed the file whenever the stage ran.
    """
    read = next((dep for dep in stage.deps if Path(dep.fs_path) == decisions), None)
    if read is None:
        return stage.reproduce() is not None
    for left in reversed(range(ATTEMPTS)):
        with contextlib.nullcontext() if left else locked(Path(os.path.realpath(decisions))):
            before = decisions.read_bytes()
            try:
                if stage.reproduce(force=left < ATTEMPTS - 1, no_commit=True) is None:
                    return False
            except DvcException:
                if decisions.read_bytes() == before:
                    raise
                continue
            if read.hash_info.value == hashlib.md5(before, usedforsecurity=False).hexdigest():
                stage.repo.stage_cache.save(stage)
                stage.commit()
                return True
    raise UserError(f"{decisions.name} was changed whenever it was read, {ATTEMPTS} times; save it, and run this again")
