"""What runs in Ray's processes: a job, and the count of the steps of all.

Ray carries the two by value: no process can import Winnow before it stands in the repository, since this is how Winnow
finds it. So nothing of Winnow's is imported at the top here.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEND_EVERY = 0.25  # seconds


@dataclass(frozen=True)
class Place:
    """Where a job runs, by paths that all machines see."""

    root: Path  # of the repository
    code: Path  # folder of winnow/
    environment: Mapping[str, str]  # variables
    request: Path
    answer: Path
    log: Path


class Steps:
    """The steps of every attempt at a job, an actor on the coordinator's machine."""

    def __init__(self) -> None:
        self._made: dict[str, int] = {}

    def made(self, attempt: str, steps: int) -> None:
        """Take the steps of an attempt so far."""
        self._made[attempt] = steps

    def all(self) -> dict[str, int]:
        """By attempt, its steps so far."""
        return self._made


def run(place: Place, attempt: str, steps: Any) -> int:
    """Run a job: read its request, write its answer. Its steps.

    Args:
        place: of the job.
        attempt: its name.
        steps: the actor.
    """
    os.chdir(place.root)
    os.environ.update(place.environment)
    if str(place.code) not in sys.path:
        sys.path.insert(0, str(place.code))
    from winnow.engine.devices import VISIBLE, keep_to
    from winnow.engine.worker import answer, prepare_process

    made, sent = 0, 0.0

    def tick() -> None:
        nonlocal made, sent
        made += 1
        if time.monotonic() - sent >= SEND_EVERY:
            sent = time.monotonic()
            steps.made.remote(attempt, made)

    with _stderr_to(place.log):
        keep_to(os.environ.get(VISIBLE) or None)  # the device that Ray gave to the job
        prepare_process()
        answered = answer(place.request.read_bytes(), tick)
    part = place.answer.with_suffix(".part")
    part.write_bytes(answered)
    part.replace(place.answer)
    return made


@contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """What is written to stderr, from C too, into a file that the coordinator sees, whichever machine this is."""
    before, file = os.dup(2), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 2)
    os.close(file)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)
