"""A copy of this repository in which one source is measured, and the steps that are run in it.

Steps are the stages in the order of dvc.yaml, each by the command that DVC would run, without DVC, whose hashing of
inputs and outputs is no part of a stage. In the place of stages that train stands what ``bench.scale.given`` gives.
"""

import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from bench.provenance import commit_of
from bench.remote_demo import copy_repository
from bench.stage_memory import MODULE
from winnow.commands.edited_params import changed_params
from winnow.pipeline.files import ROOT

WIDTH = 1280  # features of the cheap backbone
KINDS = ("competition", "backbone")  # of the model: networks of small images, or features of a backbone
ROUND = "r1"
TRAINING = ("ensemble", "value", "search_policy", "gate", "judge")  # given, not measured
ARMS = ("baseline", "full")  # that are passed on; the others are as those
AFTER = {"embed": "embed"}  # what is given in the place of an output, by the step that wrote it
COMMANDS = {  # measured after the stages: name and command, which may say that something differs by its exit code
    "diff": ["-m", "winnow", "diff", "HEAD"],
    "diff --md": ["-m", "winnow", "diff", "HEAD", "--md"],
}
COPIES, FEW = 1.5, 1.05  # images after augmentation, in those of train; the second of more than MANY
MANY = 100_000
MOST_IMAGES = 1_000_000  # that params.yaml may name
COMMIT = "build/scale-commit.txt"  # in the copy: what it is a copy of
CHANGED = "not committed"


@dataclass(frozen=True)
class Step:
    """One command in the copy."""

    name: str
    command: str  # of a shell
    given: bool  # not measured
    outputs: tuple[Path, ...] = ()  # removed before it runs, as DVC does


def make_copy(folder: Path, source: Path, kind: str) -> None:
    """The repository as it stands, with a source named in its params.

    Args:
        folder: of the copy, which must not be there yet.
        source: a zip.
        kind: of the model.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    copy_repository(ROOT, part)
    backbone = {"model": "python:grid:Grid", "pixels": 64}
    (part / "models/user/grid.py").write_text(MODULE)
    with changed_params({**scaled(source), **(backbone if kind == "backbone" else {})}, part / "params.yaml"):
        pass
    (part / COMMIT).parent.mkdir(exist_ok=True)
    (part / COMMIT).write_text(state_of(ROOT))
    part.rename(folder)


def state_of(repository: Path) -> str:
    """The commit that a repository is at, or that its code is not what is committed."""
    try:
        return commit_of(repository)
    except SystemExit:
        return CHANGED


def scaled(source: Path) -> dict[str, Any]:
    """The params that bound the number of images, as a source of any size needs them."""
    with zipfile.ZipFile(source) as opened:
        train = sum(name.startswith("train/") for name in opened.namelist())
    copies = COPIES if train <= MANY else FEW
    return {
        "dataset.source": str(source.resolve()),
        "augment.budget": round(copies * train),
        "augment.multiple": copies,
        "augment_edge_cases.multiple": copies + 0.1,
        "judge.max_images": min(4 * train, MOST_IMAGES),
    }


def steps_of(folder: Path) -> list[Step]:
    """The steps of a copy, in their order."""
    with Repo(str(folder)) as repo:
        found = {stage.addressing.partition(":")[2] or stage.addressing: stage for stage in repo.index.stages}
        steps: list[Step] = []
        for name, stage in found.items():
            stem, _, item = name.partition("@")
            if stem in ("synthesise", "augment_inversion", "control_steps", "control_refined"):
                continue
            if stem == "arm" and item not in ARMS:
                continue
            step = name if stem == "arm" else stem
            if stem in TRAINING:
                steps.append(_given(stem))
                continue
            outputs = tuple(Path(out.fs_path) for out in stage.outs if not out.persist)
            steps.append(Step(step, f"exec {stage.cmd}", False, outputs))
            if stem in AFTER:
                steps.append(_given(AFTER[stem], " (given)"))
    steps.append(_given("diff", " (commit)"))
    steps += [Step(name, f"{' '.join(['python', *words])} || test $? = 1", False) for name, words in COMMANDS.items()]
    return steps


def _given(stem: str, suffix: str = "") -> Step:
    return Step(stem + suffix, f"exec python -m bench.scale.given {stem}", True)


def remove(outputs: tuple[Path, ...]) -> None:
    """Remove files and folders that are there."""
    for path in outputs:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def python_path() -> str:
    """The folder of this Python, for ``PATH``."""
    return str(Path(sys.executable).parent)
