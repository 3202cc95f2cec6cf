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


# Of a container's memory, in the two versions of Linux's control groups: limit, use, and in memory.stat the cache of
# files, which is given back when it is needed.
GROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that this machine, or the container that it is, has left.

    Args:
        groups: where Linux shows the container's own limits.
    """
    available = int(psutil.virtual_memory().available)
    for limit, used, cache in GROUPS:
        with contextlib.suppress(OSError, ValueError, KeyError):  # no Linux, another version, or no limit
            lines = (groups / used).with_name("memory.stat").read_text().splitlines()
            kept = int(dict(line.split() for line in lines)[cache])
            left = int((groups / limit).read_text()) - int((groups / used).read_text()) + kept
            available = min(available, max(0, left))
    return available
