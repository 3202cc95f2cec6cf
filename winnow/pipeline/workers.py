"""The one seam to many cores: jobs in worker processes, one thread each, with one progress bar over all of them.

Workers are forked from a server that has imported PyTorch and the job's module once. CUDA does not survive a fork, so
that with it each worker is a fresh interpreter, and sees one device (``devices``).
"""

import ctypes
import io
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import joblib
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from winnow.pipeline.devices import deal_devices, keep_to
from winnow.pipeline.lifeline import end_with
from winnow.pipeline.messages import UserError
from winnow.pipeline.shared_arrays import SharingPickler, Written

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h


Result = TypeVar("Result")


Tick = Callable[[], None]


def run_jobs(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], *, steps: int, label: str
) -> list[Result]:
    """``function(*job, tick)`` for every job, in job order.

    Args:
        function: importable by name, from a module and not from the script that runs; calls ``tick()`` once a step.
        jobs: arguments of each job, picklable.
        steps: ticks of all jobs together, the length of the progress bar.
        label: what the bar says.

    Raises:
        UserError: no room on the disk over which the workers read large arrays, or a worker was killed.
    """
    results: dict[int, Result] = {}
    todo, busy = iter(enumerate(jobs)), dict[Any, tuple[_Worker, int]]()  # by connection
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=steps, desc=label, disable=None, smoothing=0.05) as bar,
        _workers(deal_devices(len(jobs), joblib.cpu_count()), function.__module__) as workers,
    ):
        written: Written = {}

        def give_next(worker: _Worker) -> None:
            for number, job in todo:
                request = io.BytesIO()
                SharingPickler(request, Path(folder), written).dump((function, job))
                worker.send(request.getvalue())
                busy[worker.connection] = worker, number
                return

        for worker in workers:
            give_next(worker)
        while busy:
            for connection in wait(list(busy)):
                worker, number = busy[connection]
                if not (message := worker.receive()):
                    bar.update(1)
                    continue
                done, answer = pickle.loads(message)
                if not done:
                    raise answer
                results[number] = answer
                del busy[connection]
                give_next(worker)
    return [results[number] for number in range(len(jobs))]


class _Worker:
    """A process, and the stage's end of the connection to it."""

    def __init__(self, context: ForkServerContext | SpawnContext, device: str | None) -> None:
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, os.getpid(), device), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process ends the connection

    def send(self, message: bytes) -> None:
        try:
            self.connection.send_bytes(message)
        except OSError:
            self._say_how_it_ended()

    def receive(self) -> bytes:
        try:
            return self.connection.recv_bytes()
        except (EOFError, OSError):
            self._say_how_it_ended()

    def _say_how_it_ended(self) -> NoReturn:
        self.process.join()
        code = self.process.exitcode or 0
        how = f"was killed (signal {-code})" if code < 0 else f"ended (exit code {code})"
        raise UserError(
            f"a worker process {how} before its job was done, as the system does when memory runs out: end other "
            "programs or take a machine with more memory, and run the same command again"
        ) from None


@contextmanager
def _workers(devices: Sequence[str | None], module: str) -> Iterator[list[_Worker]]:
    """A worker for each device, for jobs of a module; none of them is left after."""
    import torch  # here, so that what starts no worker need not load it

    context: ForkServerContext | SpawnContext
    if torch.cuda.is_available():
        context = multiprocessing.get_context("spawn")
    else:
        context = multiprocessing.get_context("forkserver")
        # Optimisers import torch._dynamo at their first use, which takes as long as PyTorch itself. A second pool finds
        # the server of the first.
        context.set_forkserver_preload(["torch._dynamo", module])
    workers: list[_Worker] = []
    try:
        with _interrupts_later(), _no_script():
            for device in devices:
                workers.append(_Worker(context, device))
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.process.close()
            worker.connection.close()


@contextmanager
def _no_script() -> Iterator[None]:
    """Workers import a job's function from its module: multiprocessing need not run the stage's script in each."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Ctrl-C reaches every process of the group, and one that is still starting would answer it with a traceback.

    What this thread starts inherits its mask for good, so that workers and their server hear nothing. Here, where
    another thread may take the signal, it counts once all workers have started, as one that is only half started
    would be left behind.
    """
    resource_tracker.ensure_running()  # multiprocessing's own, which lifts the mask as it starts
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()  # the only one that may set a handler
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number)) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in came[:1]:
            signal.raise_signal(number)


def _work(connection: Connection, stage: int, device: str | None) -> None:
    """A worker's life: one job after another, until the stage ends it."""
    keep_to(device)
    import torch

    end_with(stage)
    _keep_freed_memory()
    # One thread a worker: sums are then added in one order, so that equal inputs give equal bytes on any core count.
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms(True), which loads a compiler first
    # Nothing here reads memory before writing it; filling it first would cost 7 % of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        while True:
            connection.send_bytes(_answer(connection.recv_bytes(), lambda: connection.send_bytes(b"")))
    except (EOFError, ConnectionError):  # the stage has ended
        os._exit(1)


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed for what comes next.

    Else it gives the arrays of every layer back to the system, which hands out new pages page by page, zeroed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if mallopt is not None:
        # From this size on, memory would be the system's for each array. Some versions refuse more than 32 MiB.
        mallopt(M_MMAP_THRESHOLD, 2**30) or mallopt(M_MMAP_THRESHOLD, 2**25)
        mallopt(M_TRIM_THRESHOLD, -1)  # never
        mallopt(M_TOP_PAD, 2**26)  # bytes taken from the system at once


def _answer(request: bytes, tick: Tick) -> bytes:
    """The result of a job, or what it raised."""
    try:
        function, job = pickle.loads(request)
        threadpool_limits(1)  # NumPy's and scikit-learn's threads, which the job's modules may have loaded just now
        return pickle.dumps((True, function(*job, tick)))
    except Exception as error:
        error.add_note(f"In a worker:\n{traceback.format_exc()}")
        try:
            pickle.loads(failure := pickle.dumps((False, error)))
        except Exception:  # an exception that does not survive the way
            return pickle.dumps((False, RuntimeError("".join(traceback.format_exception(error)))))
        return failure
