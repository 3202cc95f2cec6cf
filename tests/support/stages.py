"""Stages run here, in the test's own process, with the command and the params of their workspace.

Where it is not the interpreter that is tested: one takes seconds to import what is imported here.
"""

import contextlib
import functools
import runpy
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import yaml

import winnow.pipeline.stage as edge
from tests.support.workspace import Workspace
from winnow.engine import jobs
from winnow.intake import source
from winnow.model import extraction, square_files
from winnow.pipeline import files
from winnow.pipeline.params import load_params
from winnow.policy_search import backbone_check, ensemble_check, judged, label_check, search
from winnow.representation import ensemble, neighbours, out_of_fold

CHECKS = (label_check, ensemble_check, backbone_check)
WITH_JOBS = (jobs, extraction, square_files, ensemble, neighbours, out_of_fold, *CHECKS, judged, search)


def stages_in(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """What dvc.lock says of each stage."""
    stages: dict[str, dict[str, Any]] = yaml.safe_load((workspace.folder / "dvc.lock").read_text())["stages"]
    return stages


def jobs_here(function: Callable[..., Any], jobs: Sequence[Any], *, steps: int, label: str) -> list[Any]:
    """In place of run_jobs: the jobs in this process, one after another."""
    return [function(*job, lambda: None) for job in jobs]


def run_here(workspace: Workspace, stage: str, command: str | None = None) -> None:
    """Run a stage as DVC did, or with the command given, and without workers.

    Raises:
        SystemExit: it ended with a sentence, which is the exception's.
    """
    _, _, module, *options = shlex.split(command or stages_in(workspace)[stage]["cmd"])  # python -m stages.name
    params = functools.partial(load_params, file=workspace.folder / "params.yaml")
    with (
        contextlib.ExitStack() as stack,
        contextlib.chdir(workspace.folder),
        mock.patch.object(sys, "argv", [module, *options]),
        mock.patch.object(edge, "load_params", params),
        mock.patch.object(source, "ROOT", workspace.folder),
        mock.patch.object(files, "ROOT", workspace.folder),
    ):
        for module_with_jobs in WITH_JOBS:  # a stage's script is imported anew below
            stack.enter_context(mock.patch.object(module_with_jobs, "run_jobs", jobs_here))
        imported = sys.modules.pop(module, None)  # runpy warns of it
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        finally:
            if imported:
                sys.modules[module] = imported
