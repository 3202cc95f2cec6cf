"""Processes that tests start: those below one as they come and go, their end, their limits."""

import contextlib
import resource
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from tests.support.imports import ROOT


def below(pid: int) -> list[psutil.Process]:
    """Its descendants; none once it is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def commands_below(pid: int) -> list[list[str]]:
    """The command line of each descendant; one that ends in the meantime has none."""
    commands = []
    for child in below(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            commands.append(child.cmdline())
    return commands


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone with all below it when a test is over, however that ends."""
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                living: list[psutil.Process | subprocess.Popen[str]] = [*below(process.pid), process]
                for one in living:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        one.kill()


def heed_interrupts() -> None:
    """For a process to be started: a shell starts what runs in its background with interrupts ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def on_a_full_disk(
    command: Sequence[str], most: int, *, folder: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command run where no file may grow beyond so many bytes."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
