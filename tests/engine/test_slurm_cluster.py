"""The engine on a real Slurm of two nodes: a node that fails, a preemption, a time limit, an interrupt."""

import contextlib
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.slurm_cluster import SlurmCluster, missing_programs, slurm_cluster
from tests.support import slurm_jobs
from winnow.engine.protocol import Answered, Event, Lost, Ticked
from winnow.engine.settings import Settings, Slurm
from winnow.engine.slurm import SlurmEngine

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(bool(missing_programs()), reason="Slurm and munge are not installed (Debian: slurm-wlm, munge)"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with (
        tempfile.TemporaryDirectory(prefix="winnow-", dir="/tmp") as folder,
        slurm_cluster(Path(folder) / "slurm") as started,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in started.environment().items():
            patch.setenv(name, value)
        yield started


def settings(folder: Path, minutes: int = 60) -> Settings:
    return Settings(engine="slurm", shared=str(folder / "shared"), slurm=Slurm(minutes=minutes))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


class Waiting:
    """A job that runs until it is let go, and what is seen of its attempts."""

    def __init__(self, folder: Path) -> None:
        self.started, self.go = folder / "started", folder / "go"
        self.started.mkdir()
        self.request = pickle.dumps((slurm_jobs.wait_for, (self.started, self.go)))

    def attempts(self) -> list[str]:
        """Nodes, in no order."""
        return [path.name.split("-")[0] for path in self.started.iterdir()]


def ended(events: list[Event]) -> list[Any]:
    """Results, and reasons of losses."""
    answers = [pickle.loads(event.answer)[1] for event in events if isinstance(event, Answered)]
    return answers + [event.why for event in events if isinstance(event, Lost)]


def test_a_job_that_is_preempted_or_whose_node_fails_is_queued_again_by_slurm(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    job = Waiting(tmp_path)
    with SlurmEngine(settings(tmp_path), 1) as engine:
        engine.submit(0, job.request)
        events = engine.events()
        seen: list[Event] = [next(events)]
        (number,) = cluster.run("squeue", "--noheader", "--format=%A").split()
        cluster.run("scancel", "--signal=USR2", number)  # as before a preemption
        until(lambda: len(job.attempts()) == 2)
        cluster.run("scontrol", "requeue", number)  # as after a failure of the node
        until(lambda: len(job.attempts()) == 3)
        job.go.touch()
        seen += events
    assert sum(event.steps for event in seen if isinstance(event, Ticked)) == 2  # those of the last attempt
    assert len(ended(seen)) == 1
    assert ended(seen)[0] in cluster.nodes
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_job_that_takes_too_long_is_lost(cluster: SlurmCluster, tmp_path: Path) -> None:
    job = Waiting(tmp_path)
    with SlurmEngine(settings(tmp_path, minutes=1), 1) as engine:
        engine.submit(0, job.request)
        seen = list(engine.events())
    (why,) = ended(seen)
    assert why.startswith("ended (exit code 1) on n")
    (lost,) = [event for event in seen if isinstance(event, Lost)]
    assert "timed-out too many times" in lost.log


def test_an_interrupt_cancels_what_runs_and_what_waits(cluster: SlurmCluster, tmp_path: Path) -> None:
    job = Waiting(tmp_path)
    with contextlib.suppress(KeyboardInterrupt), SlurmEngine(settings(tmp_path), 5) as engine:
        for number in range(5):
            engine.submit(number, job.request)
        next(iter(engine.events()))
        raise KeyboardInterrupt
    assert cluster.run("squeue", "--noheader") == ""
    assert list((tmp_path / "shared").iterdir()) == []
    assert not [one for one in cluster.processes() if "submitit.core._submit" in one.cmdline()]


def test_a_slurm_of_this_machine_runs_over_both_nodes(cluster: SlurmCluster, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nsrun --nodes=2 printenv SLURMD_NODENAME > nodes\n")
    cluster.run("sbatch", "--wait", "--nodes=2", "--output=log", str(script), folder=tmp_path)
    assert sorted((tmp_path / "nodes").read_text().split()) == ["n1", "n2"]
    assert os.environ["SLURM_CONF"].startswith(str(cluster.folder))
