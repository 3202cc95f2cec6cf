"""``winnow apply`` in the background, one at a time, with what it prints.

It goes on when the server ends, since a dataset that is half written helps nobody; so it prints into a file, not into a
pipe, which would break.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

APPLY = (sys.executable, "-m", "winnow", "apply")
LOG = ".winnow/apply.log"
MOST_LOG = 20_000  # bytes at the end of what it printed


class Applying:
    """One run after another of a command; safe to use from several threads."""

    def __init__(self, root: Path, command: Sequence[str] = APPLY) -> None:
        self._root, self._command = root, command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Start it; False where it runs already."""
        with self._lock:
            if self._running():
                return False
            (self._root / LOG).parent.mkdir(exist_ok=True)
            with (self._root / LOG).open("wb") as log:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=self._root,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for the server
                )
            return True

    def state(self) -> dict[str, Any]:
        """Whether it runs, what it printed, and how it ended; None: it runs, or has not been started."""
        with self._lock:
            running = self._running()
            if self._process is None:
                return {"running": False, "log": "", "ok": None}
            ended = None if running else self._process.returncode == 0
            return {"running": running, "log": self._printed(), "ok": ended}

    def wait(self) -> None:
        """Return when it has ended."""
        if self._process is not None:
            self._process.wait()

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _printed(self) -> str:
        try:
            return (self._root / LOG).read_bytes()[-MOST_LOG:].decode(errors="replace")
        except FileNotFoundError:
            return ""
