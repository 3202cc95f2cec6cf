"""What clusters that are started here have in common: free ports, and processes with a folder in a variable."""

import contextlib
import os
import socket
from contextlib import ExitStack
from pathlib import Path

import psutil

STOP_SECONDS = 20.0


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
