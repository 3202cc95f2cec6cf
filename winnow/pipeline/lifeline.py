"""End a process soon after the one it works for was killed, which then cannot stop it.

When DVC alone is killed, its stage runs on, and would write into the outputs of the next run.
"""

import os
import threading
import time
from collections.abc import Callable

import psutil

SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "fish"))  # between DVC and a stage, and not watched


EVERY = 0.5  # seconds between two looks


_WATCHER = "lifeline"


def end_with(pid: int) -> None:
    """For a worker, as it starts: end when the stage of this process id ends, at once if it ended already."""
    try:
        stage = psutil.Process(pid)
    except psutil.NoSuchProcess:
        os._exit(1)  # an exception would come back as a broken pool to nobody
    _watch(lambda: _lives(stage))


def end_with_dvc() -> None:
    """For a stage: end when the DVC that runs it has ended; by hand, without DVC, this does nothing.

    Raises:
        SystemExit: DVC ended before this was called.
    """
    if "DVC_STAGE" not in os.environ:
        return
    try:
        master = next((one for one in psutil.Process().parents() if one.name() not in SHELLS), None)
    except psutil.Error:  # one of them ended meanwhile
        master = None
    # An orphan's parent is the system's, which leads a session of its own; DVC and its stage share one.
    if master is None or not _shares_session(master):
        raise SystemExit("DVC was killed while this stage started")
    _watch(lambda: _lives(master))


def _shares_session(process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == os.getsid(0)
    except OSError:
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _watch(alive: Callable[[], bool]) -> None:
    def look() -> None:
        while alive():
            time.sleep(EVERY)
        os._exit(1)

    if not any(thread.name == _WATCHER for thread in threading.enumerate()):
        threading.Thread(target=look, daemon=True, name=_WATCHER).start()
