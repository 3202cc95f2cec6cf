"""A job on a node of Slurm's: its ticks, its signals, and its end with the coordinator's."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from submitit.core.utils import UncompletedJobError

from winnow.engine.devices import VISIBLE, WORKSPACE
from winnow.engine.slurm_worker import WRITE_EVERY, TickFile, Work, _exit_when_stopped


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_every_tick_is_written_those_of_one_moment_together(tmp_path: Path) -> None:
    path, clock = tmp_path / "ticks", Clock()
    with TickFile(path, clock) as ticks:
        ticks.tick()
        assert path.stat().st_size == 1
        ticks.tick()
        ticks.tick()
        assert path.stat().st_size == 1
        clock.now += WRITE_EVERY
        ticks.tick()
        assert path.stat().st_size == 4
        ticks.tick()
    assert path.stat().st_size == 5


def test_a_job_that_begins_again_reports_only_what_goes_beyond(tmp_path: Path) -> None:
    path, clock = tmp_path / "ticks", Clock()
    path.write_bytes(b"..")
    with TickFile(path, clock) as ticks:
        sizes = []
        for _ in range(4):
            clock.now += WRITE_EVERY
            ticks.tick()
            sizes.append(path.stat().st_size)
    assert sizes == [2, 2, 3, 4]


@pytest.fixture
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR2)
    yield
    signal.signal(signal.SIGUSR2, before)


@pytest.mark.usefixtures("handler")
def test_a_job_that_slurm_stops_for_good_cannot_catch_it_as_an_exception_of_its_own() -> None:
    def stop(number: int, frame: object) -> None:
        raise UncompletedJobError("timed-out too many times")

    signal.signal(signal.SIGUSR2, stop)
    _exit_when_stopped()
    with pytest.raises(SystemExit, match="timed-out too many times"):
        signal.raise_signal(signal.SIGUSR2)


def test_after_a_preemption_the_same_job_begins_anew(tmp_path: Path) -> None:
    work = Work(root=tmp_path, pulse=tmp_path / "pulse", ticks=tmp_path / "ticks", devices=True)
    again = work.checkpoint(b"request")
    assert (again.function, again.args, again.kwargs) == (work, (b"request",), {})


@pytest.mark.parametrize("exists", [True, False])
def test_a_process_ends_when_the_coordinator_shows_no_life(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "pulse").write_text("0")
    code = "import sys, signal, pathlib; from winnow.engine.pulse import end_without; "
    code += "end_without(pathlib.Path(sys.argv[1]), every=0.01, dead_after=0.05); signal.pause()"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "pulse")], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "the stage that this job is of has ended\n"


@pytest.mark.parametrize(("devices", "seen"), [(True, "3"), (False, "")])
def test_a_job_without_a_device_sees_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: bool, seen: str
) -> None:
    for name in ("end_without", "_exit_when_stopped", "prepare_process"):
        monkeypatch.setattr(f"winnow.engine.slurm_worker.{name}", lambda *_: None)
    monkeypatch.setattr("winnow.engine.slurm_worker.answer", lambda *_: os.environ[VISIBLE].encode())
    monkeypatch.setenv(VISIBLE, "3")
    monkeypatch.setenv(WORKSPACE, ":4096:8")
    monkeypatch.chdir(tmp_path)
    work = Work(root=tmp_path, pulse=tmp_path / "pulse", ticks=tmp_path / "ticks", devices=devices)
    assert work(b"request") == seen.encode()
