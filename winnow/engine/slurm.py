"""The engine of a cluster under Slurm: submitit submits the jobs as arrays, and they answer through a shared folder.

Slurm itself queues a job again whose node failed or that was preempted. One that was killed or took too long is lost,
and the coordinator runs it again.
"""

import secrets
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import submitit
from submitit.core.utils import FailedJobError, UncompletedJobError

from winnow.engine.protocol import Answered, Event, Lost, Ticked
from winnow.engine.pulse import PULSE, abandoned, pulse
from winnow.engine.settings import Settings
from winnow.engine.slurm_local import LocalQueue
from winnow.engine.slurm_queue import SlurmQueue, no_job_of_its_own
from winnow.engine.slurm_settings import new_executor, shared_folder
from winnow.engine.slurm_worker import Work
from winnow.engine.worker import end_of_log
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

MOST_IN_ARRAY = 1_000  # jobs; Slurm takes one fewer than its MaxArraySize, which is 1,001 where nobody has changed it
LOOK_EVERY = 0.25  # seconds between two looks into the shared folder
ASK_EVERY = 4.0  # seconds between two questions to Slurm's controller, which serves everybody
GRACE = 5.0  # seconds until the answer of a job that has ended may be seen
PREFIX = "winnow-"  # of the folders of single engines


class Queue(Protocol):
    """Where submitit submits to."""

    def ended(self, jobs: Iterable[submitit.Job[bytes]]) -> dict[str, str]:
        """Why each job that has ended has, by its id, as far as it is known."""

    def end(self, jobs: Iterable[submitit.Job[bytes]]) -> None:
        """End all jobs and wait for it."""


@dataclass
class _Run:
    """An attempt at a job."""

    job: submitit.Job[bytes]
    ticks: Path
    counted: int = 0
    ended: float | None = None  # when that was first seen, where there is no answer yet

    def new_ticks(self) -> int:
        """Those since the last call."""
        with self.ticks.open("rb") as file:
            file.seek(self.counted)
            new = len(file.read())
        self.counted += new
        return new

    def log(self) -> str:
        """The end of what the job wrote to stderr."""
        return end_of_log(self.job.paths.stderr.read_bytes()) if self.job.paths.stderr.exists() else ""


class SlurmEngine:
    """Jobs of one run, under a name of their own, in one folder."""

    def __init__(self, settings: Settings, jobs: int) -> None:
        """Start nothing yet.

        Args:
            settings: of the engine.
            jobs: that there are.
        """
        name = f"{PREFIX}{secrets.token_hex(6)}"
        self._settings, self._name = settings, name
        self._local = settings.slurm.executor == "local"
        self._queue: Queue = LocalQueue() if self._local else SlurmQueue(name)
        self.shared = shared_folder(settings) / name
        self._waiting: dict[int, bytes] = {}
        self._runs: dict[int, _Run] = {}
        self._submitted: list[submitit.Job[bytes]] = []
        self._attempts = Counter[int]()
        self._lost = False  # whether any attempt was
        self._asked, self._ended = 0.0, dict[str, str]()
        self._open = ExitStack()
        self._jobs = jobs

    def __enter__(self) -> Self:
        """Make the folder, and look whether there is a Slurm."""
        if not self._local and shutil.which("sbatch") is None:
            raise UserError(
                "sbatch is not on the PATH: the engine slurm submits from a machine with Slurm's programs; run this "
                "there, or set another engine"
            )
        try:
            self.shared.parent.mkdir(parents=True, exist_ok=True)
            self.shared.mkdir(mode=0o700)  # there are pickles in it, which nobody else may write
        except OSError as error:
            raise UserError(
                f"engine.yaml: the shared folder {self.shared.parent} cannot be written ({error.strerror}); correct it"
            ) from None
        with ExitStack() as opened:
            opened.callback(shutil.rmtree, self.shared, ignore_errors=True)
            opened.enter_context(pulse(self.shared / PULSE))
            opened.callback(self._end)
            _sweep(self.shared)
            self._executor = new_executor(self._settings, self._name, self.shared, self.capacity)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Cancel what has not ended, and remove the folder."""
        self._open.close()

    @property
    def capacity(self) -> int:
        """Jobs that may be open at once, those that wait in Slurm's queue too.

        Slurm keeps to ``cores`` among the jobs of one array. Where there are several, as of more jobs than an array
        holds or once a job runs again, no more are open than may run.
        """
        if self._local:
            return self._settings.cores or LocalQueue.cores()
        one_array = self._jobs <= MOST_IN_ARRAY and not self._lost
        most = self._jobs if one_array or not self._settings.cores else self._settings.cores
        return min(most, MOST_IN_ARRAY)

    def _end(self) -> None:
        """Also of jobs that have answered, whose processes may still write to their logs."""
        if self._attempts:
            self._queue.end(self._submitted)

    def submit(self, number: int, request: bytes) -> None:
        """Take a job; all that were taken are submitted together when the next event is looked for."""
        self._waiting[number] = request

    def _submit_waiting(self) -> None:
        requests, self._waiting = self._waiting, {}
        jobs: dict[int, submitit.Job[bytes]] = {}
        try:
            with no_job_of_its_own(), self._executor.batch():
                for number, request in requests.items():
                    self._attempts[number] += 1
                    devices = self._settings.gpus != 0
                    work = Work(root=ROOT, pulse=self.shared / PULSE, ticks=self._ticks(number), devices=devices)
                    jobs[number] = self._executor.submit(work, request)
        except FailedJobError as error:  # of sbatch itself
            said = " ".join(str(error).split())
            raise UserError(
                f"Slurm refused the jobs: {said}; correct engine.yaml, or run the same command again when Slurm answers"
            ) from None
        self._submitted.extend(jobs.values())
        for number, job in jobs.items():
            self._runs[number] = _Run(job, self._ticks(number))

    def _ticks(self, number: int) -> Path:
        return self.shared / f"{number}-{self._attempts[number]}.ticks"

    def events(self) -> Iterator[Event]:
        """What is found in the folder, and what Slurm says of jobs that left nothing there."""
        while self._waiting or self._runs:
            if self._waiting:
                self._submit_waiting()
            quiet = True
            for event in self._look():
                quiet = False
                yield event
            if quiet:
                time.sleep(LOOK_EVERY)

    def _look(self) -> Iterator[Event]:
        # Without a change of the folder the client of a file server may list what was there a minute ago.
        self.shared.chmod(self.shared.stat().st_mode)
        there = {entry.name for entry in self.shared.iterdir()}
        self._ask()
        for number, run in list(self._runs.items()):
            # Where the answer was there, all ticks were too: they are read after the names.
            if run.ticks.name in there and (new := run.new_ticks()):
                yield Ticked(number, new)
            if run.job.paths.result_pickle.name in there:
                del self._runs[number]
                event = _outcome(number, run)
                self._lost |= isinstance(event, Lost)
                run.job.paths.result_pickle.unlink(missing_ok=True)  # here, a later job may get the number of this one
                yield event
            elif self._is_lost(run):
                del self._runs[number]
                self._lost = True
                run.job.cancel(check=False)  # one that Slurm holds would start later
                yield Lost(number, self._ended[run.job.job_id], run.log())

    def _ask(self) -> None:
        if self._local or time.monotonic() - self._asked >= ASK_EVERY:
            self._asked = time.monotonic()
            self._ended = self._queue.ended([run.job for run in self._runs.values()])

    def _is_lost(self, run: _Run) -> bool:
        if run.job.job_id not in self._ended or run.job.paths.result_pickle.exists():
            run.ended = None
            return False
        run.ended = run.ended or time.monotonic()
        return time.monotonic() - run.ended >= (0 if self._local else GRACE)


def _outcome(number: int, run: _Run) -> Event:
    """Of a job with a result of submitit's: its answer, or why its function could not be called."""
    try:
        (answer,) = run.job.results()
    except UncompletedJobError as error:
        return Lost(number, "could not run its job", end_of_log(str(error).encode()))
    if log := run.log():
        print(log, file=sys.stderr)
    return Answered(number, answer)


def _sweep(mine: Path) -> None:
    """End and remove what killed coordinators left beside this one's folder."""
    for folder in abandoned(mine, PREFIX):
        SlurmQueue(folder.name).end([])
        shutil.rmtree(folder, ignore_errors=True)
