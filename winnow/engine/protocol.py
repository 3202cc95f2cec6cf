"""What an engine is: where the jobs of a stage run, and what it reports of them.

``jobs.run_jobs`` coordinates: it pickles requests, gives them to an engine, and puts what comes back in order. An
engine carries bytes to a process somewhere, which calls ``worker.answer`` on them, and brings its ticks and its answer
back. It reads neither requests nor answers, and does not run a lost job again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


@dataclass(frozen=True)
class Ticked:
    """A job has made steps since its last event."""

    number: int  # of the job
    steps: int = 1


@dataclass(frozen=True)
class Answered:
    """A job has ended: what ``worker.answer`` returned."""

    number: int
    answer: bytes


@dataclass(frozen=True)
class Lost:
    """The worker or the machine of a job has ended before it answered. No later event is of the attempt that was lost.

    An exception that a job raises is no loss, but part of the answer.
    """

    number: int
    why: str  # completes a sentence that begins "a worker process", such as "was killed (signal 9)"
    log: str  # the last lines that the worker wrote to stderr; empty where there are none


Event = Ticked | Answered | Lost


class Engine(Protocol):
    """Where jobs run. As a context manager: leaving it ends every job that has not ended, and whatever it started."""

    @property
    def capacity(self) -> int:
        """Jobs that are submitted at once, at least 1; read again before each, so that it may change."""

    @property
    def shared(self) -> Path:
        """A folder that the coordinator and all workers see under this path, for large arrays; of this engine alone."""

    def submit(self, number: int, request: bytes) -> None:
        """Start a job; of a number that was lost, anew.

        Called from the thread that iterates over ``events``, between two of them, and never for more than ``capacity``
        jobs that have not ended.

        Args:
            number: of the job, from 0; in its events.
            request: what a worker calls ``worker.answer`` with.
        """

    def events(self) -> Iterator[Event]:
        """What happens to the jobs, as it happens; ends once every job that was submitted has ended.

        Any number of ticks of a job, then its answer or its loss. It waits in steps of at most a second, so that Ctrl-C
        is noticed.
        """

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            UserError: it is not installed, cannot be reached, or has not what the settings ask for.
        """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the jobs that have not ended, and remove ``shared``; nothing is left behind."""
