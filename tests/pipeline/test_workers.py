"""The seam to many cores: order, progress, one thread a worker, errors that come through."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import psutil
import pytest
import torch
from threadpoolctl import threadpool_info

from tests.support.imports import ROOT
from tests.support.processes import below, commands_below, ended, heed_interrupts, on_a_full_disk
from winnow.pipeline.workers import run_jobs


def square(number: int, tick: object) -> tuple[int, set[int]]:
    assert callable(tick)
    for _ in range(number):
        tick()
    return number * number, {torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())}


def refuse(number: int, tick: object) -> int:
    raise ValueError(f"number {number} is off")


def test_results_come_in_job_order_from_single_thread_workers() -> None:
    assert run_jobs(square, [(3,), (1,), (2,)], steps=6, label="squares") == [(9, {1}), (1, {1}), (4, {1})]


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

    monkeypatch.setattr("winnow.pipeline.workers.tqdm", Bar)
    run_jobs(square, [(3,), (4,)], steps=7, label="squares")
    assert counted == [7]


def test_a_failing_job_says_why() -> None:
    with pytest.raises(ValueError, match="number 5 is off"):
        run_jobs(refuse, [(5,)], steps=1, label="refused")


def sleep_long(folder: str, tick: object) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


class NeverSent:
    """An argument on which the stage hangs while it hands the job over, when its workers wait for one already."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> str:
        sleep_long(self.folder, None)
        return "never"


def killed_stage(argument: str, folder: Path) -> list[psutil.Process]:
    """What of its workers lives on 15 seconds after a stage was killed, well after it wrote into the folder."""
    code = "from winnow.pipeline.workers import run_jobs\n"
    code += "from tests.pipeline.test_workers import NeverSent, sleep_long\n"
    code += f"run_jobs(sleep_long, [({argument},), ({argument},)], steps=1, label='sleep')"
    command = [sys.executable, "-c", code]
    with ended(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, text=True)) as stage:
        while not any(folder.iterdir()):
            assert stage.poll() is None
            time.sleep(0.1)
        while len(below(stage.pid)) < 2:
            assert stage.poll() is None
            time.sleep(0.1)
        time.sleep(4)  # its workers are in their jobs, or wait for one
        workers = below(stage.pid)
        stage.kill()
    return psutil.wait_procs(workers, timeout=15)[1]


two_workers = pytest.mark.skipif(joblib.cpu_count() < 2, reason="one core: no two workers at once")


@two_workers
def test_an_interrupt_while_workers_start_leaves_no_traceback_of_theirs(tmp_path: Path) -> None:
    code = "from winnow.pipeline.workers import run_jobs; from tests.pipeline.test_workers import sleep_long\n"
    code += f"try: run_jobs(sleep_long, [({str(tmp_path)!r},), ({str(tmp_path)!r},)], steps=1, label='sleep')\n"
    code += "except KeyboardInterrupt: print('interrupted')"
    for pause in (0.0, 0.1, 0.3, 1.0, 3.0):
        stage = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=heed_interrupts,
        )
        with ended(stage):
            while not any("popen_loky" in " ".join(command) for command in commands_below(stage.pid)):
                assert stage.poll() is None
                time.sleep(0.01)
            time.sleep(pause)
            family = below(stage.pid)
            os.killpg(stage.pid, signal.SIGINT)
            output = stage.communicate(timeout=60)[0]
        assert "interrupted" in output
        assert "Traceback" not in output
        assert psutil.wait_procs(family, timeout=15)[1] == []


@two_workers
def test_workers_end_when_their_stage_is_killed(tmp_path: Path) -> None:
    assert killed_stage(repr(str(tmp_path)), tmp_path) == []


@two_workers
def test_workers_end_when_their_stage_is_killed_before_it_gave_them_a_job(tmp_path: Path) -> None:
    assert killed_stage(f"NeverSent({str(tmp_path)!r})", tmp_path) == []


def test_a_disk_too_full_for_the_workers_is_told_with_what_was_needed(tmp_path: Path) -> None:
    code = "import numpy as np; from winnow.pipeline.workers import run_jobs\n"
    code += "from tests.pipeline.test_workers import sleep_long\n"
    code += "shared = np.zeros(3_000_000, np.uint8)\n"
    code += "run_jobs(sleep_long, [(shared,), (shared,)], steps=1, label='sleep')"
    done = on_a_full_disk([sys.executable, "-c", code], 1_000_000)
    assert "UserError: no room in " in done.stderr
    assert "for what the workers read: 3,000,000 bytes needed, " in done.stderr
