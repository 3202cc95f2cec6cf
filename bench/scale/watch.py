"""Seconds and memory of a command with all its processes.

Memory is looked at several times a second: of all processes at one moment, the bytes that are theirs alone and their
shares of what they share (PSS), without pages of files. The kernel takes those back when it needs room, so that the
memory-mapped arrays of the pipeline cost speed at most; they are counted apart.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY = 0.1  # seconds between two looks
KIB = 1024  # the unit of /proc's figures
HELD = ("Pss_Anon", "Pss_Shmem")


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    cpu_seconds: float  # of all its processes
    peak: int  # bytes held at one moment, without pages of files
    mapped: int  # bytes of pages of files, at most


class CommandError(Exception):
    """A command that failed, with its output."""


def watched(command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path) -> Cost:
    """What a command takes.

    Args:
        command: and its arguments.
        folder: where it runs.
        environment: of the process.
        log: gets its output.

    Raises:
        CommandError: it failed.
    """
    with log.open("wb") as sink:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=sink, stderr=sink, start_new_session=True
        )
        total, ends = Total(), threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, ends, total))
        watcher.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            ends.set()
            watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CommandError(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    # Of workers that a process other than the command ends, only what was seen of them is known.
    cpu = max(used.ru_utime + used.ru_stime, total.cpu_seconds)
    return Cost(time.perf_counter() - start, cpu, total.peak, total.mapped)


def _watch(pid: int, ends: threading.Event, total: "Total") -> None:
    while not ends.wait(EVERY):
        total.look(processes_of(pid))


class Total:
    """What was seen of some processes, look by look."""

    def __init__(self) -> None:
        self.peak = self.mapped = 0
        self._cpu: dict[int, float] = {}

    @property
    def cpu_seconds(self) -> float:
        """Of all of them, as last seen of each."""
        return sum(self._cpu.values())

    def look(self, processes: Sequence[psutil.Process]) -> None:
        """Take in what they hold now."""
        held = mapped = 0
        for process in processes:
            try:
                sizes = sizes_of(process.pid)
                used = process.cpu_times()
            except (OSError, psutil.Error):  # it has just ended
                continue
            self._cpu[process.pid] = used.user + used.system
            held += sum(sizes.get(name, 0) for name in HELD)
            mapped += sizes.get("Pss_File", 0)
        self.peak, self.mapped = max(self.peak, held), max(self.mapped, mapped)


def processes_of(pid: int) -> list[psutil.Process]:
    """A process and all below it; none where it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def sizes_of(pid: int) -> dict[str, int]:
    """Bytes of a process by the names of /proc/<pid>/smaps_rollup, such as ``Pss_Anon``."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(value) * KIB for name, value, _ in (line.split() for line in lines)}
