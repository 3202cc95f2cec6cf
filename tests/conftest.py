"""Shared fixtures."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits

from tests.support.workspace import TINY, Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The same examples every time, however slow the machine: what fails here fails for everybody.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no process waits for one that was started last.

    The first of these that needs the finished workspace makes it; the others that need it come after those that do not.
    """
    slow = [item.path for item in items if item.get_closest_marker("slow")]
    needing = {item.path for item in items if "finished" in getattr(item, "fixturenames", ())}
    first, long = next((path for path in slow if path in needing), None), set(slow)

    def turn(item: pytest.Item) -> int:
        if item.path == first:
            return 0
        return 3 if item.path not in long else 2 if item.path in needing else 1

    items.sort(key=turn)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real sources, named by WINNOW_REAL_DATA; by default ``shared/data`` beside the repository."""
    folder = Path(os.environ.get("WINNOW_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "roman-numerals.zip").exists():
        pytest.skip(f"real data is absent: no roman-numerals.zip in {folder}; set WINNOW_REAL_DATA to its folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """What computes here does it in one thread, as in a worker: the processes that share the tests have a core each."""
    torch.set_num_threads(1)
    threadpool_limits(1)


@pytest.fixture(scope="session", autouse=True)
def site_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What DVC remembers of the tests' repositories stays out of the user's own site cache."""
    folder = tmp_path_factory.getbasetemp() / "site-cache"
    folder.mkdir(mode=0o700)
    os.environ["DVC_SITE_CACHE_DIR"] = str(folder)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Headless Chromium, for all tests of a file; they are skipped where none is installed."""
    from tests.support.driver import chromium  # imports Playwright, which few files need

    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A tiny workspace in which everything ran once and is committed; a test that changes anything takes a copy.

    Where pytest-xdist runs the tests in several processes, the first that needs it makes it for all.
    """
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    place.mkdir(exist_ok=True)
    workspace = Workspace(place / "repository")
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            shutil.rmtree(workspace.folder, ignore_errors=True)  # of one that failed
            Workspace.new(workspace.folder, TINY)
            workspace.run("python", "-m", "winnow", "run")
            workspace.commit("everything ran")
            (place / "made").touch()
    return workspace
