"""The connection to a Ray cluster, or to a Ray of this machine's own, which is started and ended here."""

import atexit
import logging
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from typing import Any

import joblib
import psutil
import ray
from ray.exceptions import RayError

from winnow.engine.settings import Settings
from winnow.pipeline.messages import UserError

OBJECTS = 100 * 2**20  # bytes of the object store of a Ray of this machine's own; requests and answers are files
SHORT = 30  # characters of a folder in which Ray's sockets have room: their paths may have 107
STARTS = 3  # of a Ray of this machine's own
GRACE = 5.0  # seconds until processes that were killed have ended

# Of Ray: no statistics for its makers; and so long does it wait for its own processes, which a busy machine may need.
VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_server_port_wait_time_s": "120",
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_worker_register_timeout_seconds": "120",
}

_folders: list[str] = []  # of Rays of this machine's own


def connect(settings: Settings) -> None:
    """Connect this process to the Ray that the settings name, or to one that is started for it; once.

    Raises:
        UserError: no Ray answers, or none can be started.
    """
    if ray.is_initialized():
        return
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    atexit.register(end)
    if settings.address is None:
        _start(settings, quiet)
        return
    try:
        ray.init(address=settings.address, **quiet)
    except (RayError, RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"no Ray answers at {settings.address} ({_on_one_line(error)}); start it, or correct the address in "
            "engine.yaml"
        ) from None


def _start(settings: Settings, quiet: dict[str, Any]) -> None:
    """Start a Ray of this machine's own; again where it gives up after 30 seconds, as on a machine that is busy."""
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray would leave one in the home folder
    for attempt in range(STARTS):
        short = len(tempfile.gettempdir()) <= SHORT
        _folders.append(tempfile.mkdtemp(prefix="ray", dir=None if short else "/tmp"))
        try:
            ray.init(
                address="local",
                num_cpus=joblib.cpu_count() if settings.cores is None else settings.cores,
                object_store_memory=OBJECTS,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=_folders[-1],
                **quiet,
            )
            return
        except Exception as error:  # Ray raises no narrower one where it takes too long
            end()
            if attempt == STARTS - 1:
                raise UserError(f"Ray does not start: {_on_one_line(error)}") from None


def end() -> None:
    """End the connection, and a Ray of this machine's own with all that it left; the end of the process does it too."""
    ray.shutdown()
    while _folders:
        folder = _folders.pop()
        # Ray itself ends only what has started whole; what was its child may be nobody's by now.
        left = [process for process in psutil.process_iter() if _names(process, folder)]
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=GRACE)
        shutil.rmtree(folder, ignore_errors=True)


def _names(process: psutil.Process, folder: str) -> bool:
    try:
        return any(folder in word for word in process.cmdline())
    except psutil.Error:  # it has ended
        return False


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
