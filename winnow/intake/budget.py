"""Memory that threads share, and how much of it there is."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil


class Budget:
    """Bytes that several threads share. Who asks first gets first; what is more than all of them has them alone."""

    def __init__(self, total: int) -> None:
        self.total, self._used = total, 0
        self._turn, self._freed = threading.Lock(), threading.Condition()

    @contextlib.contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """So many bytes, once they are free."""
        count = min(count, self.total)
        with self._turn, self._freed:
            self._freed.wait_for(lambda: self._used + count <= self.total)
            self._used += count
        try:
            yield
        finally:
            with self._freed:
                self._used -= count
                self._freed.notify_all()


def available_memory() -> int:
    """Bytes that this machine, or the container that it is, has left."""
    available = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # no Linux, or no limit
        available = min(available, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return available
