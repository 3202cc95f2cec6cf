"""Run single stages without ``dvc repro``, so that dvc.lock tells what a stage has read of overrides.csv.

DVC hashes what a stage read when it has ended. A decision that is saved meanwhile would be recorded as carried out, and
``dvc repro`` would never run the stage again. The stage that reads the file is therefore run anew whenever it is asked
for, which also carries out what a ``dvc repro`` has recorded so before.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc.stage import Stage

from winnow.pipeline.messages import UserError
from winnow.verdicts.decisions_file import locked

ATTEMPTS = 3  # to run a stage whose file of decisions is changed meanwhile


def run_stages(names: Sequence[str], decisions: Path, *, remedy: str) -> list[str]:
    """Run stages where something changed, the one that reads the decisions always.

    ``dvc repro --single-item`` does the same but for the last, and reads and writes dvc.lock anew for each of them,
    which takes longer than the stages of ``winnow apply``.

    Args:
        names: of the stages, in their order.
        decisions: overrides.csv, in the root of the repository.
        remedy: a sentence, what the user is to do where a stage failed.

    Returns:
        The stages whose entry in dvc.lock changed.

    Raises:
        UserError: a stage failed, or DVC cannot work here.
    """
    programs = str(Path(sys.executable).parent)
    if not os.environ.get("PATH", "").startswith(programs + os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", "")])
    pipeline = str(decisions.with_name("dvc.yaml"))  # DVC takes a name to be one of the working directory
    try:
        with Repo(str(decisions.parent)) as repo, lock_repo(repo):
            stages = {stage.name: stage for stage in repo.stage.load_all(pipeline) if stage.name in names}
            changed = []
            try:
                for name in names:
                    if _run(stages[name], decisions):
                        changed.append(stages[name])
            finally:
                if changed:
                    changed[0].dvcfile.dump_stages(changed, update_pipeline=False)
            return [stage.name for stage in changed]
    except (DvcException, FileNotFoundError) as error:  # the second where what a run makes is not there
        raise UserError(f"stopped ({' '.join(str(error).split())}); lines above may say why. {remedy}") from None


def _run(stage: Stage, decisions: Path) -> bool:
    """Run a stage where it must; whether that changes its entry in dvc.lock.

    The hash of a file of decisions must be that of what the stage read: while it is another, the stage runs again, at
    last with the file locked. Until that is known, nothing goes into DVC's run cache.

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
    before, edited = _hashes(stage), stage.changed_stage()
    for left in reversed(range(ATTEMPTS)):
        with contextlib.nullcontext() if left else locked(Path(os.path.realpath(decisions))):
            content = decisions.read_bytes()
            try:
                stage.reproduce(force=True, no_commit=True)
            except DvcException:
                if decisions.read_bytes() == content:
                    raise
                continue
            if read.hash_info.value == hashlib.md5(content, usedforsecurity=False).hexdigest():
                stage.repo.stage_cache.save(stage)
                stage.commit()
                return edited or _hashes(stage) != before
    raise UserError(f"{decisions.name} was changed whenever it was read, {ATTEMPTS} times; save it, and run this again")


def _hashes(stage: Stage) -> list[Any]:
    return [item.hash_info.value for item in (*stage.deps, *stage.outs)]
