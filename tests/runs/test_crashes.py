"""Stages stopped at each of their writes: what is there is whole, and the next run gives the same bytes.

A write goes to a file beside, which then takes the place of the old one, or is a link to a whole file. A kill leaves a
half of the file beside, and what was written before it; here it is enumerated, in the test's own process. Kills of real
processes are in test_kills.py.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from tests.support.stages import run_here, stages_in
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow


class CrashError(BaseException):
    """The end of the process, as no except clause of the code sees it."""


@pytest.fixture(scope="module")
def workspace(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished one, whose judge is one model's."""
    workspace = finished.copy(tmp_path_factory.mktemp("crashes") / "repository")
    workspace.set_params({"compare.judged": ["baseline"], "compare.seeds": [0]})
    return workspace


@dataclass(frozen=True)
class Write:
    """A file that came into its place."""

    path: Path
    linked: bool  # to a whole file, so that no half of it is ever there


@contextlib.contextmanager
def crash_at(number: int) -> Iterator[list[Write]]:
    """Crash at the write of this number, counted from 0, with half of it written; the files written until then."""
    written: list[Write] = []
    replace, link, unlink = os.replace, os.link, os.unlink
    halves: list[Path] = []

    def counted(partial: Path, path: Path) -> None:
        if len(written) == number:
            partial.write_bytes(partial.read_bytes()[: partial.stat().st_size // 2])
            halves.append(partial)
            raise CrashError
        replace(partial, path)
        written.append(Write(path, linked=False))

    def counted_link(file: Path, path: Path) -> None:
        if len(written) == number:
            raise CrashError
        link(file, path)
        written.append(Write(path, linked=True))

    def unlink_alive(path: Path, **named: int) -> None:
        if path in halves:  # a process that has ended does not clean up
            halves.clear()
        else:
            unlink(path, **named)

    with (
        mock.patch.object(os, "replace", counted),
        mock.patch.object(os, "link", counted_link),
        mock.patch.object(os, "unlink", unlink_alive),
        contextlib.suppress(CrashError),
    ):
        yield written


def contents(workspace: Workspace, stage: str) -> dict[Path, bytes]:
    """All that stands below the stage's outputs, half-written files included."""
    outs = [workspace.folder / out["path"] for out in stages_in(workspace)[stage]["outs"]]
    beside = [left for out in outs for left in out.parent.glob(f".{out.name}.*.partial")]
    files = [file for out in outs for file in ([out] if out.is_file() else out.rglob("*"))]
    return {file: file.read_bytes() for file in [*files, *beside] if file.is_file()}


def remove_outputs(workspace: Workspace, stage: str) -> None:
    """As DVC does before it runs a stage."""
    for out in stages_in(workspace)[stage]["outs"]:
        path = workspace.folder / out["path"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def stays(workspace: Workspace, write: Write) -> bool:
    """Whether a file is an output; what the judge computes for itself lies in a temporary folder, which goes."""
    return (workspace.folder / write.path).is_relative_to(workspace.folder)


def some(count: int, most: int | None) -> list[int]:
    """So many numbers below the count, the first and the last among them; None: all."""
    return list(range(count)) if most is None else sorted({round(at) for at in np.linspace(0, count - 1, most)})


@pytest.mark.parametrize("most", [3, pytest.param(None, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("stage", ["prepare", "augment@r1", "judge", "summarise"])
def test_a_crash_at_any_write_leaves_whole_files_and_the_next_run_gives_the_same_bytes(
    workspace: Workspace, stage: str, most: int | None
) -> None:
    remove_outputs(workspace, stage)
    with crash_at(-1) as writes:
        run_here(workspace, stage)
    whole = contents(workspace, stage)
    lasting = [workspace.folder / one.path for one in writes if stays(workspace, one)]
    assert set(whole) == set(lasting)
    assert len(lasting) == len(whole)
    for number in some(len(writes), most):
        write = writes[number]
        remove_outputs(workspace, stage)
        with crash_at(number):
            run_here(workspace, stage)
        left = contents(workspace, stage)
        halves = 1 if stays(workspace, write) and not write.linked else 0
        assert sum(path.suffix == ".partial" for path in left) == halves
        assert {path: content for path, content in left.items() if path.suffix != ".partial"}.items() < whole.items()
        with crash_at(-1):
            run_here(workspace, stage)
        assert contents(workspace, stage) == whole
