"""What servers and clusters that are started here have in common: their processes, and free ports."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import psutil

STOP_SECONDS = 20.0

# The shell ends the server when its standard input does: the kernel closes that pipe when this process ends, even
# by SIGKILL, and nobody else holds its other end.
SUPERVISE = 'exec 3<&0; "$@" 3<&- & server=$!; (cat <&3 >/dev/null; kill "$server" 2>/dev/null) & wait "$server"'


@contextmanager
def supervised(
    command: Sequence[str], *, environment: Mapping[str, str], sink: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that ends with the block, and with this process, however that ends.

    Args:
        command: of the server, which stays in the foreground.
        environment: all its variables.
        sink: of what it writes.

    Yields:
        The shell that runs it, which leads their group.
    """
    process = subprocess.Popen(
        ["/bin/sh", "-c", SUPERVISE, "sh", *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=sink,
        stderr=sink,
        start_new_session=True,  # an interrupt from the terminal is for us, who then stop it in order
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the shell and the server, and wait for both: the server is not our child, but of our child's group."""
    end = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while time.monotonic() < end:
            os.killpg(process.pid, 0)
            time.sleep(0.01)


def processes_with(variable: str, folder: Path) -> list[psutil.Process]:
    """Those whose variable names the folder or something in it, this process excepted."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            value = process.environ().get(variable, "")
            if process.pid != os.getpid() and folder in (Path(value), *Path(value).parents):
                found.append(process)
    return found


def end_all(variable: str, folder: Path) -> None:
    """Kill them, and wait for their ends."""
    rest = processes_with(variable, folder)
    for process in rest:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(rest, timeout=STOP_SECONDS)


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at now."""
    with ExitStack() as bound:
        taken = [bound.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in taken]
