"""Run single stages without ``dvc repro``, so that dvc.lock tells what a stage has read of overrides.csv.

DVC hashes what a stage read when it has ended. A decision that is saved meanwhile would be recorded as carried out, and
``dvc repro`` would never run the stage again. The stage that reads the file is therefore run anew whenever it is asked
for, which also carries out what a ``dvc repro`` has recorded so before.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc.stage import Stage

from winnow.pipeline.messages import UserError
from winnow.verdicts.decisions_file import locked

CHECKED = "checked.csv"  # beside overrides.csv; it changes no data, but the card of the export counts its rows
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
            every = repo.stage.load_all(pipeline)
            stages = {stage.name: stage for stage in every if stage.name in names}
            _demand_inputs([stages[name] for name in names], every)
            changed = []
            try:
                for name in names:
                    # The first one always runs, so that what it wrote before is of no use.
                    with contextlib.nullcontext() if name == names[0] else _putting_back(stages[name]):
                        if _run(stages[name], decisions):
                            changed.append(stages[name])
            finally:
                if changed:
                    changed[0].dvcfile.dump_stages(changed, update_pipeline=False)
            return [stage.name for stage in changed]
    except (DvcException, FileNotFoundError) as error:  # the second where what a run makes is not there
        raise UserError(f"stopped ({' '.join(str(error).split())}); lines above may say why. {remedy}") from None


@contextlib.contextmanager
def _putting_back(stage: Stage) -> Iterator[None]:
    """Around the run of a stage: if that fails, what it wrote before is there again, which DVC removes at first."""
    try:
        yield
    except BaseException:
        if any(out.hash_info for out in stage.outs):
            stage.checkout(allow_missing=True)
        raise


def _demand_inputs(mine: Sequence[Stage], every: Sequence[Stage]) -> None:
    """Stop where other stages' outputs are not what dvc.lock names, as after a ``git pull`` alone.

    Raises:
        UserError: so it is.
    """
    names = {stage.name for stage in mine}
    made = {out.fs_path: out for stage in every if stage.name not in names for out in stage.outs}
    for dep in (dep for stage in mine for dep in stage.deps if dep.fs_path in made):
        out = made[dep.fs_path]
        if out.hash_info and out.exists and out.changed_checksum():
            raise UserError(
                f"{dep.def_path} is not what dvc.lock names; `make pull` or `dvc checkout` brings that, `make run` "
                "makes it anew"
            )


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
    files = decisions, decisions.with_name(CHECKED)
    read = {dep: Path(dep.fs_path) for dep in stage.deps if Path(dep.fs_path) in files}
    forced = decisions in read.values()
    if not read or not (forced or stage.changed()):
        return stage.reproduce() is not None
    before, edited = _hashes(stage), stage.changed_stage()
    for left in reversed(range(ATTEMPTS)):
        with contextlib.ExitStack() as held:
            for file in read.values() if not left else ():
                held.enter_context(locked(Path(os.path.realpath(file))))
            contents = {dep: file.read_bytes() for dep, file in read.items()}
            try:
                stage.reproduce(force=True, no_commit=True)
            except DvcException:
                if all(file.read_bytes() == contents[dep] for dep, file in read.items()):
                    raise
                continue
            if all(dep.hash_info.value == _md5(content) for dep, content in contents.items()):
                stage.repo.stage_cache.save(stage)
                stage.commit()
                return edited or _hashes(stage) != before
    changing = " or ".join(file.name for file in read.values())
    raise UserError(f"{changing} was changed whenever it was read, {ATTEMPTS} times; save it, and run this again")


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _hashes(stage: Stage) -> list[Any]:
    return [item.hash_info.value for item in (*stage.deps, *stage.outs)]
