"""What Slurm says of the jobs of one name, and their end: ``squeue`` and ``scancel``, which need no accounting."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Protocol

COLUMNS = {"JobArrayID": 48, "State": 32, "exit_code": 16, "NodeList": 64, "Reason": 96}  # widths in characters

ENDED = {
    "BOOT_FAIL": "did not start, since its node did not",
    "CANCELLED": "was cancelled",
    "COMPLETED": "left no answer in the shared folder",
    "DEADLINE": "passed its deadline",
    "FAILED": "ended",
    "NODE_FAIL": "ended with its node",
    "OUT_OF_MEMORY": "was killed, since it used more memory than engine.yaml asks for",
    "PREEMPTED": "was preempted",
    "REVOKED": "was revoked",
    "SPECIAL_EXIT": "ended in a special state",
    "TIMEOUT": "was killed, since it took longer than slurm.minutes of engine.yaml",
}  # the states that are final, as the words that follow "a worker process"

HELD = re.compile("held|hold", re.IGNORECASE)  # in the reason of a job that waits for somebody to release it

PATIENCE = 60.0  # seconds that a program of Slurm's may take; its controller may be busy


class Job(Protocol):
    """A job that was submitted."""

    @property
    def job_id(self) -> str:
        """Slurm's, of an array with the place in it."""


class SlurmQueue:
    """The jobs of one name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def ended(self, jobs: Iterable[Job]) -> dict[str, str]:
        """Why each job that has ended has, by its id; none where Slurm does not answer.

        Args:
            jobs: that were submitted. One that Slurm lists no longer has ended: it forgets them after a while, which
                a coordinator that was suspended may have missed.
        """
        rows = self._rows()
        if rows is None:
            return {}
        gone = {job.job_id: "is no longer known to Slurm" for job in jobs if job.job_id not in rows}
        ended = {job: _why(row) for job, row in rows.items() if row["State"] in ENDED or HELD.search(row["Reason"])}
        return gone | ended

    def end(self, jobs: Iterable[object]) -> None:
        """Cancel all jobs of the name and wait until none runs, for a while."""
        give_up = time.monotonic() + PATIENCE
        while True:
            _slurm("scancel", "--quiet", f"--name={self._name}")  # submitit lets SIGTERM pass
            _slurm("scancel", "--quiet", "--full", "--signal=KILL", f"--name={self._name}")
            rows = self._rows()
            if rows is None and shutil.which("squeue") is None:
                return  # without Slurm there are no jobs
            if rows is not None and all(row["State"] in ENDED for row in rows.values()):
                return
            if time.monotonic() > give_up:
                return
            time.sleep(0.2)

    def _rows(self) -> dict[str, dict[str, str]] | None:
        """What Slurm lists, by id of the job; None where it does not answer."""
        columns = ",".join(f"{name}:{width}" for name, width in COLUMNS.items())
        text = _slurm("squeue", "--noheader", "--array", "--states=all", f"--name={self._name}", f"--Format={columns}")
        if text is None:
            return None
        ends = list(accumulate(COLUMNS.values(), initial=0))
        places = dict(zip(COLUMNS, pairwise(ends), strict=True))
        rows = [{name: line[start:end].strip() for name, (start, end) in places.items()} for line in text.splitlines()]
        return {row["JobArrayID"]: row for row in rows}


@contextmanager
def no_job_of_its_own() -> Iterator[None]:
    """Hide the variables of the job that this process runs in, if any: what it submits would take over its limits."""
    kept = {"SLURM_CONF", "SLURM_CLUSTERS"}
    mine = [name for name in os.environ if name.startswith(("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_"))]
    hidden = {name: os.environ.pop(name) for name in mine if name not in kept}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _why(row: dict[str, str]) -> str:
    if row["State"] not in ENDED:
        return f"is held by Slurm ({row['Reason']})"
    why, code = ENDED[row["State"]], _exit_code(row["exit_code"])
    if row["State"] == "FAILED":
        why = f"was killed (signal {abs(code)})" if code < 0 else f"ended (exit code {code})"
    where = f" on {row['NodeList']}" if row["NodeList"] else ""
    return f"{why}{where} (Slurm: {row['State']}, {row['Reason']})"


def _exit_code(status: str) -> int:
    """The exit code of a process, or its signal, negative; a shell has signals of its programs as codes above 128."""
    code = os.waitstatus_to_exitcode(int(status)) if status.isdigit() else 0
    return 128 - code if code > 128 else code


def _slurm(*command: str) -> str | None:
    """The output of a program of Slurm's; None where it fails, as all do while the controller restarts."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
