"""The seam to many cores: order, progress, one thread a worker, errors that come through."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.imports import ROOT
from winnow.parallel import run_jobs


def square(number: int, tick: object) -> tuple[int, int]:
    assert callable(tick)
    for _ in range(number):
        tick()
    return number * number, torch.get_num_threads()


def refuse(number: int, tick: object) -> int:
    raise ValueError(f"number {number} is off")


def test_results_come_in_job_order_from_single_thread_workers() -> None:
    assert run_jobs(square, [(3,), (1,), (2,)], steps=6, label="squares") == [(9, 1), (1, 1), (4, 1)]


def test_progress_counts_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    class Bar:
        def __init__(self, **_: object) -> None:
            self.n = 0

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            counted.append(self.n)

        def update(self, number: int) -> None:
            self.n += number

    monkeypatch.setattr("winnow.parallel.tqdm", Bar)
    run_jobs(square, [(3,), (4,)], steps=7, label="squares")
    assert counted == [7]


def test_a_failing_job_says_why() -> None:
    with pytest.raises(ValueError, match="number 5 is off"):
        run_jobs(refuse, [(5,)], steps=1, label="refused")


def sleep_long(folder: str, tick: object) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_when_their_stage_is_killed(tmp_path: Path) -> None:
    code = "from winnow.parallel import run_jobs; from tests.test_parallel import sleep_long\n"
    code += f"run_jobs(sleep_long, [({str(tmp_path)!r},), ({str(tmp_path)!r},)], steps=1, label='sleep')"
    stage = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if any(tmp_path.iterdir()):
            break
        time.sleep(0.1)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert workers
    assert all(alive(worker) for worker in workers)
    stage.send_signal(signal.SIGKILL)
    stage.wait()
    for _ in range(150):
        if not any(alive(worker) for worker in workers):
            return
        time.sleep(0.1)
    raise AssertionError("a worker lives on 15 seconds after its stage was killed")
