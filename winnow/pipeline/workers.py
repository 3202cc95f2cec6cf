"""The one seam to many cores: jobs in joblib workers, one thread each, with one progress bar over all of them.

joblib's backend can be exchanged (``joblib.parallel_config("ray")``) without touching a stage.
"""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import joblib
import numpy as np
import psutil
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from winnow.pipeline.lifeline import end_with
from winnow.pipeline.messages import DISK_FULL, WAY_BACK, UserError

Result = TypeVar("Result")


Tick = Callable[[], None]


class _FileTick:
    """Counts one step by growing a file, which works from any process on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> None:
        with self.path.open("ab") as file:
            file.write(b".")


def _single_thread(function: Callable[..., Result], arguments: tuple[Any, ...], tick: Tick) -> Result:
    # One thread a worker: sums are then added in one order, so that equal inputs give equal bytes on any core count.
    import torch  # here, so that the parent need not load it

    torch.set_num_threads(1)
    threadpool_limits(1)  # NumPy's and scikit-learn's as well
    torch.use_deterministic_algorithms(True)
    # Nothing here reads memory before writing it; filling it first would cost 7 % of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return function(*arguments, tick)


@contextmanager
def _interrupts_kept_from_children() -> Iterator[None]:
    """Ctrl-C reaches every process of the group, and one that is still starting would answer it with a traceback.

    What this thread starts inherits its mask for good, so that workers hear nothing; a thread that was started before
    still takes the signal here, and the stage ends its workers: joblib knows of those alone whose start has ended.
    """
    ensure_running()  # multiprocessing's tracker, which a pool starts, lifts the mask as it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # A handler of somebody else's is theirs, and only the main thread may set one.
    ours = (
        signal.getsignal(signal.SIGINT) is signal.default_int_handler
        and threading.current_thread() is threading.main_thread()
    )
    if ours:
        signal.signal(signal.SIGINT, _end_workers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end_workers(signum: int, frame: FrameType | None) -> NoReturn:
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if any("popen_loky" in word for word in child.cmdline()):
                child.kill()
    raise KeyboardInterrupt


def _array_bytes(value: object) -> int:
    """Of the arrays in it, one that several jobs share once."""
    arrays: dict[int, int] = {}
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, np.ndarray):
            arrays[id(one)] = one.nbytes
        elif isinstance(one, (list, tuple)):
            todo += one
        elif is_dataclass(one):
            todo += [getattr(one, field.name) for field in fields(one)]
    return sum(arrays.values())


def run_jobs(
    function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]], *, steps: int, label: str
) -> list[Result]:
    """``function(*job, tick)`` for every job, in job order.

    Args:
        function: importable by name; calls ``tick()`` once a step.
        jobs: arguments of each job, picklable.
        steps: ticks of all jobs together, the length of the progress bar.
        label: what the bar says.

    Raises:
        UserError: no room on the disk over which the workers read large arrays.
    """
    with tempfile.TemporaryDirectory() as folder, tqdm(total=steps, desc=label, disable=None, smoothing=0.05) as bar:
        ticks = [Path(folder) / str(number) for number in range(len(jobs))]
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.5):
                bar.update(sum(tick.stat().st_size for tick in ticks if tick.exists()) - bar.n)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            # Copy on write: workers share large arrays, which PyTorch takes as they are, since they can be written.
            # A worker that is told of its stage by its first job only would outlive one that was killed before that.
            workers = joblib.Parallel(
                n_jobs=min(len(jobs), joblib.cpu_count()) or 1,
                batch_size=1,
                mmap_mode="c",
                initializer=end_with,
                initargs=(os.getpid(),),
            )
            calls = (
                joblib.delayed(_single_thread)(function, job, _FileTick(tick))
                for job, tick in zip(jobs, ticks, strict=True)
            )
            with _interrupts_kept_from_children():
                return list(workers(calls))
        except Exception as error:
            # Large arrays reach the workers as files, and joblib tells of a disk too full for them in words alone.
            why = next((os.strerror(code) for code in DISK_FULL if os.strerror(code) in str(error.__cause__)), None)
            if why is None:
                raise
            temporary = tempfile.gettempdir()
            told = (
                f"{_array_bytes(jobs):,} bytes needed, {shutil.disk_usage(temporary).free:,} free on its disk ({why})"
            )
            raise UserError(f"no room in {temporary} for what the workers read: {told}; {WAY_BACK}") from error
        finally:
            done.set()
            watcher.join()
            bar.update(sum(tick.stat().st_size for tick in ticks if tick.exists()) - bar.n)
