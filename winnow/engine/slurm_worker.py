"""A job as submitit runs it on a node: it appends its ticks to a file of its own, and returns its answer."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from submitit.core.utils import DelayedSubmission, UncompletedJobError

from winnow.engine.devices import VISIBLE, keep_to
from winnow.engine.pulse import end_without
from winnow.engine.worker import answer, prepare_process

WRITE_EVERY = 0.5  # seconds; each write is a request to the file server


class Work:
    """One attempt at a job; what it is called with is the request, what it returns the answer."""

    def __init__(self, *, root: Path, pulse: Path, ticks: Path, devices: bool) -> None:
        """Name what it needs, by paths that all machines see.

        Args:
            root: of the repository, where jobs run.
            pulse: file that the coordinator changes as long as it lives.
            ticks: file that gets a byte a tick.
            devices: whether the job may use what Slurm gave it, or lets it see.
        """
        self.root, self.pulse, self.ticks, self.devices = root, pulse, ticks, devices

    def __call__(self, request: bytes) -> bytes:
        """Run the job."""
        os.chdir(self.root)
        end_without(self.pulse)
        _exit_when_stopped()
        keep_to(os.environ.get(VISIBLE) if self.devices else "")  # without cgroups Slurm would let it see all
        prepare_process()
        with TickFile(self.ticks) as ticks:
            return answer(request, ticks.tick)

    def checkpoint(self, request: bytes) -> DelayedSubmission:
        """What runs in place of this after a preemption: the same, from the start."""
        return DelayedSubmission(self, request)


class TickFile:
    """Ticks of a job, a byte each, appended.

    A job that Slurm has put back into the queue begins again with the same file, and reports only what goes beyond the
    ticks that it made before.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._made, self._written, self._last = 0, 0, 0.0

    def __enter__(self) -> Self:
        self._file = self._path.open("ab", buffering=0)
        self._written = self._file.tell()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._write()
        self._file.close()

    def tick(self) -> None:
        """Count a step; write down those since the last time, twice a second at most."""
        self._made += 1
        if self._clock() - self._last >= WRITE_EVERY:
            self._write()

    def _write(self) -> None:
        if self._made > self._written:
            self._file.write(b"." * (self._made - self._written))
            self._written = self._made
        self._last = self._clock()


def _exit_when_stopped() -> None:
    """Let a job that Slurm stops end at once.

    submitit's handler raises where the job is not queued again; the job itself could catch that, or return it as its
    own exception.
    """
    stop: Any = signal.getsignal(signal.SIGUSR2)

    def handler(number: int, frame: FrameType | None) -> None:
        try:
            stop(number, frame)
        except UncompletedJobError as error:
            raise SystemExit(str(error)) from None

    if callable(stop):
        signal.signal(signal.SIGUSR2, handler)
