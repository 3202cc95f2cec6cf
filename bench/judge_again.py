"""The judge of a finished run, repeated in a copy of its repository by any engine; a worker killed on the way."""

import contextlib
import hashlib
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
import yaml

from bench.remote_demo import Terminal, copy_repository
from winnow.commands.edited_params import edited_text
from winnow.pipeline.files import ROOT, write_bytes
from winnow.pipeline.messages import UserError

OUTPUTS = ("--models", "--metrics")  # of the judge


LOOK_EVERY = 0.1  # seconds between two looks at the workers


class Ready(Protocol):
    """What a run needs of an engine."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Of engine.yaml."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Of the stage."""

    @property
    def workers(self) -> Callable[[], list[psutil.Process]]:
        """Those that have a job."""


@dataclass(frozen=True)
class Ran:
    """What a run of the judge took and wrote."""

    seconds: float
    processor_seconds: float  # of its workers, as far as they were seen
    files: dict[str, str]  # digest by path
    killed: int | None  # process id of the worker


class JudgeCopy:
    """A copy of this repository in which the judge can run; data and models are links to those of a finished run."""

    def __init__(self, folder: Path, command: list[str], jobs: int) -> None:
        self.folder, self._command, self.jobs = folder, command, jobs

    @classmethod
    def of(cls, finished: Path, folder: Path, seeds: int | None) -> "JudgeCopy":
        """Make it.

        Args:
            finished: repository in which the pipeline was run.
            folder: new.
            seeds: that every arm is trained with; None: those of params.yaml.

        Raises:
            UserError: the judge's inputs are not there.
        """
        copy_repository(ROOT, folder)
        command = shlex.split(yaml.safe_load((folder / "dvc.yaml").read_text("utf-8"))["stages"]["judge"]["cmd"])
        for option, path in zip(command[3::2], command[4::2], strict=True):
            if option not in OUTPUTS:
                _link(finished / path, folder / path)
        params = folder / "params.yaml"
        if seeds:
            write_bytes(params, edited_text(params.read_text("utf-8"), {"compare.seeds": list(range(seeds))}).encode())
        compare = yaml.safe_load(params.read_text("utf-8"))["compare"]
        return cls(folder, [sys.executable, *command[1:]], len(compare["judged"]) * len(compare["seeds"]))

    def run(self, terminal: Terminal, engine: Ready, *, kill_after: float | None = None) -> Ran:
        """Run the judge anew.

        Args:
            terminal: that shows it.
            engine: where its jobs run.
            kill_after: processor seconds after which the first worker that used them is killed.
        """
        write_bytes(self.folder / "engine.yaml", yaml.safe_dump(dict(engine.settings)).encode())
        for place in self._outputs():
            shutil.rmtree(place, ignore_errors=True)
        start = time.monotonic()
        with _watched(engine.workers, kill_after) as seen:
            terminal.show(self._command, self.folder, engine.environment)
        seconds = time.monotonic() - start
        files = [file for place in self._outputs() for file in place.rglob("*") if file.is_file()]
        digests = {str(file.relative_to(self.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        return Ran(seconds, sum(seen.used.values()), digests, seen.killed)

    def left(self) -> list[Path]:
        """What the engine left in the shared folder."""
        return list((self.folder / ".winnow" / "engine").glob("*"))

    def _outputs(self) -> list[Path]:
        return [self.folder / self._command[self._command.index(option) + 1] for option in OUTPUTS]


class _Seen:
    """Processor seconds of workers by process id, and the one that was killed."""

    def __init__(self) -> None:
        self.used: dict[int, float] = {}
        self.killed: int | None = None


@contextmanager
def _watched(workers: Callable[[], list[psutil.Process]], kill_after: float | None) -> Iterator[_Seen]:
    seen, ended = _Seen(), threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY):
            for worker in workers():
                with contextlib.suppress(psutil.Error):
                    times = worker.cpu_times()
                    seen.used[worker.pid] = times.user + times.system
                    if kill_after is not None and seen.killed is None and seen.used[worker.pid] >= kill_after:
                        worker.kill()
                        seen.killed = worker.pid

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _link(source: Path, link: Path) -> None:
    if not source.exists():
        raise UserError(f"the pipeline was not run here: {source} is missing; `make run` makes it")
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)  # what git knows of it
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(source)
