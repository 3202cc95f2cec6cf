"""Stages at one of whose own calls the disk is full, the disk fails, or memory ends: a sentence, and no half output.

The same command gives the same bytes afterwards. The calls are sampled: WINNOW_KILL_SEED says which, WINNOW_FAULTS how
many a stage.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.injection import Fault, sampled, watched
from tests.support.stages import run_here, stages_in
from tests.support.workspace import ALL, Workspace

FEW = ("prepare", "cleanse_influence@r1")
SEED = int(os.environ.get("WINNOW_KILL_SEED", "0"))
FAULTS = int(os.environ.get("WINNOW_FAULTS", "6"))  # a stage
ONE_OF_EACH = 3

pytestmark = [
    pytest.mark.slow,
    # What was opened when a call failed is closed by the interpreter, which a process leaves to its end.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def workspace(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished one, whose judge is one model's."""
    workspace = finished.copy(tmp_path_factory.mktemp("injected") / "repository")
    workspace.set_params({"compare.judged": ["baseline"], "compare.seeds": [0]})
    return workspace


def outputs(workspace: Workspace, stage: str) -> list[Path]:
    return [workspace.folder / out["path"] for out in stages_in(workspace)[stage]["outs"]]


def standing(workspace: Workspace, stage: str) -> dict[Path, bytes]:
    """All that stands below a stage's outputs, and hidden beside one that is a file."""

    def files() -> Iterator[Path]:
        for out in outputs(workspace, stage):
            yield from [out, *out.parent.glob(f".{out.name}*"), *out.rglob("*")]

    return {file: file.read_bytes() for file in files() if file.is_file() and file.name != ".gitignore"}


def remove_outputs(workspace: Workspace, stage: str) -> None:
    """As DVC does before it runs a stage."""
    for path in outputs(workspace, stage):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def failed(workspace: Workspace, stage: str, fault: Fault) -> tuple[str | None, bool]:
    """What the stage said as it ended, None if it ended well; and whether the fault's call was made."""
    said = None
    with watched(fault) as calls:
        try:
            run_here(workspace, stage)
        except SystemExit as end:
            said = str(end.code)
    return said, calls.met


@pytest.mark.parametrize(
    ("stage", "many"),
    [
        *((stage, ONE_OF_EACH) for stage in FEW),
        *(pytest.param(stage, FAULTS, marks=pytest.mark.campaign) for stage in ALL),
    ],
)
def test_a_fault_at_any_call_is_one_sentence_and_the_next_run_gives_the_same_bytes(
    workspace: Workspace, stage: str, many: int
) -> None:
    remove_outputs(workspace, stage)
    with watched() as calls:
        run_here(workspace, stage)
    whole, landed = standing(workspace, stage), 0
    for fault in sampled(calls.counts, Random(f"{SEED} {stage}"), many):
        remove_outputs(workspace, stage)
        said, met = failed(workspace, stage, fault)
        left, landed = standing(workspace, stage), landed + met
        print(f"{stage}: {fault}: {said}")
        if said is None:  # a file read once more, or copied where no link could be made
            assert left == whole, fault
        else:
            assert said.startswith(f"{stage.split('@')[0]}: "), (fault, said)
            assert said.isprintable(), (fault, said)
            assert left.items() <= whole.items(), (fault, set(left) - set(whole))
        run_here(workspace, stage)
        assert standing(workspace, stage) == whole, fault
    assert 2 * landed > many  # a call whose answer is kept is not made again
