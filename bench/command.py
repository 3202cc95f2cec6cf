"""A Python command as a person would run it; one that fails ends the benchmark with its own output."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def run_python(*arguments: str, folder: Path, environment: Mapping[str, str] | None = None, code: int = 0) -> str:
    """The output of the command.

    Args:
        arguments: of Python.
        folder: where it runs.
        environment: of the process; this one's by default.
        code: the exit code that is expected.
    """
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != code:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode} in {folder}:\n{done.stdout}{done.stderr}")
    return done.stdout
