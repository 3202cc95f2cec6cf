"""The seam to many cores: order, progress, one thread a worker, errors that come through."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import psutil
import pytest
import torch
from threadpoolctl import threadpool_info

from tests.support.engine_jobs import HEAD, train_or_die
from tests.support.imports import ROOT
from tests.support.processes import below, commands_below, ended, heed_interrupts, on_a_full_disk
from winnow.engine.jobs import run_jobs
from winnow.pipeline.messages import UserError


def square(number: int, tick: object) -> tuple[int, set[int]]:
    assert callable(tick)
    for _ in range(number):
        tick()
    return number * number, {torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())}


def refuse(number: int, tick: object) -> int:
    raise ValueError(f"number {number} is off")


def test_results_come_in_job_order_from_single_thread_workers() -> None:
    assert run_jobs(square, [(3,), (1,), (2,)], steps=6, label="squares") == [(9, {1}), (1, {1}), (4, {1})]


def test_with_cuda_workers_are_fresh_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert run_jobs(square, [(3,)], steps=3, label="squares") == [(9, {1})]


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

    monkeypatch.setattr("winnow.engine.jobs.tqdm", Bar)
    run_jobs(square, [(3,), (4,)], steps=7, label="squares")
    assert counted == [7]


def test_a_failing_job_says_why_and_where() -> None:
    with pytest.raises(ValueError, match="number 5 is off") as failed:
        run_jobs(refuse, [(5,)], steps=1, label="refused")
    assert "in refuse" in failed.value.__notes__[0]


class OddError(Exception):
    """Pickles, but does not come back: its arguments are not those of its class."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def refuse_oddly(tick: object) -> None:
    raise OddError(3, 4)


def test_an_exception_that_does_not_come_through_is_told_in_words() -> None:
    with pytest.raises(RuntimeError, match="OddError: 3 and 4"):
        run_jobs(refuse_oddly, [()], steps=1, label="refused")


def die(tick: object) -> None:
    print("killed on purpose", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_three_times_is_told_in_a_sentence() -> None:
    with pytest.raises(
        UserError, match=r"a worker process was killed \(signal 9\) before its job was done, for the 3rd(?s:.*)purpose"
    ):
        run_jobs(die, [()], steps=1, label="killed")


def test_a_job_whose_worker_is_killed_runs_again_and_what_it_wrote_is_passed_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [(None, 0), (tmp_path / "marker", 1), (None, 2), (None, 3)]
    killed = run_jobs(train_or_die, jobs, steps=4 * HEAD.epochs, label="train")
    assert capsys.readouterr().err == (
        "the last word\na worker process was killed (signal 9) before its job was done; the job runs again\n"
    )
    there = run_jobs(train_or_die, jobs, steps=4 * HEAD.epochs, label="train")
    for one, other in zip(killed, there, strict=True):
        assert {name: tensor.tolist() for name, tensor in one.items()} == {
            name: tensor.tolist() for name, tensor in other.items()
        }


def scribble(shared: np.ndarray[Any, Any], again: list[np.ndarray[Any, Any]], tick: object) -> tuple[str, int, bool]:
    assert isinstance(shared, np.memmap)
    total = int(shared.sum())
    shared[:] = 7
    return Path(str(shared.filename)).name, total, again[0] is shared


def test_workers_read_a_large_array_from_one_file_and_write_into_a_copy_of_their_own() -> None:
    large = np.ones((1024, 2048), np.uint8)
    found = run_jobs(scribble, [(large, [large])] * 3, steps=0, label="shared")
    assert found == [("0", 2**21, True)] * 3
    assert large.min() == large.max() == 1


def pages_of_arrays(tick: object) -> int:
    """Pages that the system gives while ten arrays of 3 MiB come and go, the first time left out."""
    given = []
    for _ in range(11):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        [np.ones(3 * 2**20, np.uint8) for _ in range(10)]
        given.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return sum(given[1:])


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another allocator than glibc's")
def test_workers_keep_the_memory_that_they_freed() -> None:
    (pages,) = run_jobs(pages_of_arrays, [()], steps=0, label="arrays")
    assert pages < 1000  # it would be 76,800


def weights(tick: object) -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(3.0)}


def test_tensors_come_back_as_values() -> None:
    (found,) = run_jobs(weights, [()], steps=0, label="tensors")
    assert not found["weight"].is_shared()
    assert found["weight"].tolist() == [0, 1, 2]


def test_workers_do_not_run_the_script_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from tests.engine.test_local import square\n"
        "from winnow.engine.jobs import run_jobs\n"
        "print('the script runs')\n"
        "if __name__ == '__main__':\n"
        "    run_jobs(square, [(1,), (2,)], steps=3, label='squares')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "the script runs\n"


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
    code = "from winnow.engine.jobs import run_jobs\n"
    code += "from tests.engine.test_local import NeverSent, sleep_long\n"
    code += f"run_jobs(sleep_long, [({argument},), ({argument},)], steps=1, label='sleep')"
    command = [sys.executable, "-c", code]
    with ended(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, text=True)) as stage:
        while not any(folder.iterdir()):
            assert stage.poll() is None
            time.sleep(0.1)
        while len(below(stage.pid)) < 4:  # two workers, the server that forks them, multiprocessing's tracker
            assert stage.poll() is None
            time.sleep(0.1)
        time.sleep(4)  # its workers are in their jobs, or wait for one
        workers = below(stage.pid)
        stage.kill()
    return psutil.wait_procs(workers, timeout=15)[1]


two_workers = pytest.mark.skipif(joblib.cpu_count() < 2, reason="one core: no two workers at once")


@two_workers
def test_an_interrupt_while_workers_start_leaves_no_traceback_of_theirs(tmp_path: Path) -> None:
    code = "from winnow.engine.jobs import run_jobs; from tests.engine.test_local import sleep_long\n"
    code += f"try: run_jobs(sleep_long, [({str(tmp_path)!r},), ({str(tmp_path)!r},)], steps=1, label='sleep')\n"
    code += "except KeyboardInterrupt: print('interrupted')"
    for pause in (0.0, 2.0, 6.0):  # while the server imports, as it starts to fork, while the workers work
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
            while not any("multiprocessing.forkserver" in " ".join(words) for words in commands_below(stage.pid)):
                assert stage.poll() is None
                time.sleep(0.01)
            time.sleep(pause)
            family = below(stage.pid)
            os.killpg(stage.pid, signal.SIGINT)
            output = stage.communicate(timeout=300)[0]  # a busy machine starts workers slowly
        assert "interrupted" in output
        assert "Traceback" not in output
        assert psutil.wait_procs(family, timeout=15)[1] == []


@two_workers
def test_workers_end_when_their_stage_is_killed(tmp_path: Path) -> None:
    assert killed_stage(repr(str(tmp_path)), tmp_path) == []


@two_workers
def test_workers_end_when_their_stage_is_killed_before_it_gave_them_a_job(tmp_path: Path) -> None:
    assert killed_stage(f"NeverSent({str(tmp_path)!r})", tmp_path) == []


def test_no_process_is_left_of_a_stage_that_is_killed_while_the_server_of_its_workers_starts() -> None:
    code = "from winnow.engine.jobs import run_jobs; from tests.engine.test_local import die\n"
    code += "run_jobs(die, [()], steps=1, label='never')"
    with ended(subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True)) as stage:
        while len(family := below(stage.pid)) < 2:  # the server, multiprocessing's tracker
            assert stage.poll() is None
            time.sleep(0.01)
        stage.kill()
    assert psutil.wait_procs(family, timeout=30)[1] == []


def test_a_disk_too_full_for_the_workers_is_told_with_what_was_needed(tmp_path: Path) -> None:
    code = "import numpy as np; from winnow.engine.jobs import run_jobs\n"
    code += "from tests.engine.test_local import sleep_long\n"
    code += "shared = np.zeros(3_000_000, np.uint8)\n"
    code += "run_jobs(sleep_long, [(shared,), (shared,)], steps=1, label='sleep')"
    done = on_a_full_disk([sys.executable, "-c", code], 1_000_000)
    assert "UserError: no room in " in done.stderr
    assert "for what the workers read: 3,000,000 bytes needed, " in done.stderr
