"""Commands as messages advise them, run in this process: a start of DVC takes a second, and a test runs dozens."""

import os
import re
import shlex
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import dvc.cli
import pytest

from winnow.__main__ import main as winnow


def _one(words: list[str]) -> int:
    if words[0] not in ("dvc", "winnow"):
        return subprocess.run(words, check=False).returncode
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of DVC's own
        if words[0] == "dvc":
            return int(dvc.cli.main(words[1:]))
        handler = signal.getsignal(signal.SIGTERM)
        try:
            winnow(words[1:])
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            signal.signal(signal.SIGTERM, handler)
    return 0


def shell(line: str) -> int:
    """Run commands joined by ``&&`` and ``;`` in this folder; the last one's exit code."""
    code = 0
    for join, command in re.findall(r"(^|&& |; )((?:'[^']*'|[^'&;])+)", line):
        if join != "&& " or code == 0:
            code = _one(shlex.split(command))
    return code


def new_repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a git and DVC repository, and work in it with nobody's settings."""
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, "/nowhere")
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    (folder.parent / "site").mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(folder.parent / "site"))
    assert shell("git init --quiet --initial-branch=main && dvc init --quiet") == 0


def commit_all() -> None:
    author = "-c user.name=test -c user.email=test@example.org"
    assert shell(f"git add --all && git {author} commit --quiet --allow-empty --message test") == 0
