"""The demonstration: all of it is shown, and nothing of it stays, interrupted or not."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.pipeline import pretend_run
from tests.bench.test_s3_server import answers
from tests.support.datasets import make_dataset
from tests.support.imports import ROOT
from tests.support.repository import COUNTS
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The repository, as if its pipeline had run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "repository").mkdir()
    workspace = Workspace.new(folder / "repository", {})
    environment = os.environ | {"DVC_SITE_CACHE_DIR": str(folder / "dvc"), "PYTHONPATH": str(ROOT)}
    pretend_run(workspace.folder, make_dataset(folder / "dataset", COUNTS), environment)
    return workspace


def started_demo(workspace: Workspace, temporary: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "bench.remote_demo"],
        cwd=workspace.folder,
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def state(workspace: Workspace) -> dict[str, bytes]:
    """All that the demonstration must leave as it was."""
    files = [path for path in workspace.folder.rglob("*") if path.is_file() and ".dvc/tmp" not in str(path)]
    return {str(path): path.read_bytes() for path in files if "__pycache__" not in str(path)}


def test_the_demonstration_shows_all_and_leaves_nothing(finished: Workspace, tmp_path: Path) -> None:
    before = state(finished)
    with started_demo(finished, tmp_path) as demo:
        output, errors = demo.communicate()
    assert demo.returncode == 0, output + errors
    steps = [line[2:] for line in output.splitlines() if line.startswith("$ ")]
    assert [step.split(" ")[:2] for step in steps] == [
        ["dvc", "push"],
        ["git", "clone"],
        ["dvc", "pull"],
        ["dvc", "status"],
        ["dvc", "repro"],
        ["cleanse_influence.by:", "support"],
        ["dvc", "status"],
        ["dvc", "repro"],
        ["dvc", "status"],
    ]
    assert "Data and pipelines are up to date." in output
    assert re.findall(r"Running stage '(.+?)'", output) == ["cleanse_influence@r1"]
    assert "arm@hydra:" in output.split("Running stage")[1]
    assert state(finished) == before
    assert list(tmp_path.iterdir()) == []
    port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", output)[0])
    assert not answers(port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demonstration_interrupted_leaves_nothing(
    finished: Workspace, tmp_path: Path, number: signal.Signals
) -> None:
    before = state(finished)
    with started_demo(finished, tmp_path) as demo:
        assert demo.stdout is not None
        line = next(line for line in demo.stdout if "listens on" in line)
        next(line for line in demo.stdout if line.startswith("$ dvc push"))
        port = int(line.rsplit(":", 1)[1])
        assert answers(port)
        demo.send_signal(number)
        _, errors = demo.communicate()
    assert demo.returncode == 1
    assert errors.splitlines()[-1] == "remote-demo: interrupted; the server is stopped and nothing is left"
    assert not answers(port)
    assert list(tmp_path.iterdir()) == []
    assert state(finished) == before


def test_the_demonstration_asks_for_a_pipeline_that_has_run(tmp_path: Path) -> None:
    (tmp_path / "never run").mkdir()
    with started_demo(Workspace.new(tmp_path / "never run", {}), tmp_path) as demo:
        _, errors = demo.communicate()
    assert demo.returncode == 1
    assert errors.startswith("remote-demo: the pipeline was not run here: ")
    assert "`make run` makes them" in errors
    assert errors.count("\n") == 1
