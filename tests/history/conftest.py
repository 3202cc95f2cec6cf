"""Fixtures of the tests of the history: a small repository of two refinements."""

import shutil
from pathlib import Path

import pytest

from tests.support.history import forbid_network, make_history
from tests.support.workspace import Workspace


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_history(tmp_path_factory.mktemp("two refinements"))


@pytest.fixture
def root(history: Workspace, tmp_path: Path) -> Path:
    """A copy to spoil."""
    shutil.copytree(history.folder, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_network(monkeypatch)
