"""Shared fixtures."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from tests.support.workspace import TINY, Workspace

# The same examples every time, however slow the machine: what fails here fails for everybody.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real sources, named by WINNOW_REAL_DATA; by default ``shared/data`` beside the repository."""
    folder = Path(os.environ.get("WINNOW_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "roman-numerals.zip").exists():
        pytest.skip(f"real data is absent: no roman-numerals.zip in {folder}; set WINNOW_REAL_DATA to its folder")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Training here and not in a worker, but on one thread as there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A tiny workspace in which everything ran once and is committed; a test that changes anything takes a copy."""
    workspace = Workspace.new(tmp_path_factory.mktemp("finished") / "repository", TINY)
    workspace.dvc("repro")
    workspace.commit("everything ran")
    return workspace
