"""What a worker process does on whatever engine: it gets ready, and answers requests.

Requests and answers are pickles of one run's own processes; nobody else writes the folder that they lie in.
"""

import ctypes
import faulthandler
import os
import pickle
import traceback
from collections.abc import Callable
from functools import cache

from threadpoolctl import threadpool_limits

Tick = Callable[[], None]

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h

LOG_LINES, LOG_BYTES = 20, 4096  # of a log's end, at most


@cache
def prepare_process() -> None:
    """Set this process up as a worker, however often it is called; its device is chosen already (``devices``)."""
    import torch

    faulthandler.enable(2)  # a segmentation fault then leaves in the log where it was
    _keep_freed_memory()
    # One thread a worker: sums are then added in one order, so that equal inputs give equal bytes on any core count.
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms(True), which loads a compiler first
    # Nothing here reads memory before writing it; filling it first would cost 7 % of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


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


def answer(request: bytes, tick: Tick) -> bytes:
    """The result of a job, or what it raised, for ``jobs.run_jobs``."""
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


def log_to(path: str | os.PathLike[str]) -> None:
    """Let whatever this process writes to stderr, from C too, go to the end of a file."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 2)
    os.close(file)


def end_of_log(content: bytes) -> str:
    """The last lines of a log, for a message."""
    return "\n".join(content[-LOG_BYTES:].decode(errors="replace").splitlines()[-LOG_LINES:])
