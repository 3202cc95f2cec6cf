"""Show how a pipeline is shared through a remote: ``make remote-demo``.

    python -m bench.remote_demo

A real S3 server is started on this machine. The pipeline's cache is pushed to it from a copy of this repository as it
stands, and pulled by a clone of that copy, where nothing is to be done until a param changes. Everything is kept in
one temporary folder, which is removed when the demonstration ends, interrupted or not; this repository is only read.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from dvc.repo import Repo

from bench.s3_server import s3_server
from winnow.commands.edited_params import changed_params
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import load_params, read_params

RULE = "cleanse_influence.by"


QUIET = ["--quiet"]


class Terminal:
    """Runs commands and shows their output, until a signal comes.

    The handler only sets a flag and ends the command; it raises nothing while a process is being started or a folder
    removed, so that none of them is left.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._running: subprocess.Popen[str] | None = None

    def stop(self, number: int, frame: FrameType | None) -> None:
        """The handler of a signal."""
        self.stopped = True
        self._kill()

    def show(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
        """Run a command; its output.

        Raises:
            KeyboardInterrupt: a signal came.
            UserError: the command failed.
        """
        print(f"\n$ {' '.join(command)}", flush=True)
        program = [sys.executable, "-m", *command] if command[0] == "dvc" else command
        # In a group of its own, so that the stage that DVC started ends with it.
        with subprocess.Popen(
            program, cwd=folder, env=dict(environment), stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as self._running:
            if self.stopped:
                self._kill()
            assert self._running.stdout is not None
            lines = []
            for line in self._running.stdout:
                lines.append(line)
                print(line, end="", flush=True)
            failed = self._running.wait() != 0
        if self.stopped:
            raise KeyboardInterrupt
        if failed:
            raise UserError(f"`{' '.join(command)}` failed; the lines above say why")
        return "".join(lines)

    def _kill(self) -> None:
        if self._running is not None and self._running.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)


def demonstrate(folder: Path, terminal: Terminal) -> None:
    """The whole demonstration, in a folder of its own.

    Raises:
        KeyboardInterrupt: a signal came.
        UserError: the pipeline was not run, or a step did not do what it must.
    """
    cache = _filled_cache()
    with s3_server(folder / "server") as server:
        environment = server.environment()
        print(f"remote-demo: an S3 server listens on {server.endpoint}", flush=True)
        here, there = folder / "here", folder / "there"
        copy_repository(ROOT, here)
        server.configure(here, cache=cache)
        terminal.show(["dvc", "push"], here, environment)
        print(f"remote-demo: the bucket holds {len(server.objects())} objects, {server.stored_bytes() / 1e6:.1f} MB")
        terminal.show(["git", "clone", *QUIET, str(here), str(there)], folder, environment)
        server.configure(there)
        terminal.show(["dvc", "pull", *QUIET], there, environment)
        _check_source(there)
        _nothing_to_do(there, environment, terminal)
        _change_a_param(there, environment, terminal)
        print(f"\nremote-demo: done; the server stops and {folder} is removed")


def copy_repository(source: Path, target: Path) -> None:
    """A clone with one commit more: what is changed or new in the source and not ignored by git."""
    _git("clone", *QUIET, str(source), str(target))
    listed = _git("-C", str(source), "ls-files", "-z", "--modified", "--others", "--deleted", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (source / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)
        else:
            (target / name).unlink(missing_ok=True)
    _git("-C", str(target), "add", "--all")
    author = ["-c", "user.name=remote-demo", "-c", "user.email=remote-demo@localhost"]
    _git("-C", str(target), *author, "commit", *QUIET, "--allow-empty", "--no-verify", "--message", "as it stands")


def _filled_cache() -> str:
    """The cache of this repository, if it holds every output of the pipeline."""
    with Repo(str(ROOT)) as repo:
        cache = repo.cache.local
        kept = [out for out in repo.index.outs if out.use_cache]
        absent = [out for out in kept if not (out.hash_info and cache.exists(out.hash_info.value))]
        if absent:
            raise UserError(
                f"the pipeline was not run here: the cache lacks {len(absent)} of its {len(kept)} outputs, "
                f"{absent[0]} first; `make run` makes them"
            )
        return str(repo.cache.local_cache_dir)


def _check_source(repository: Path) -> None:
    source = read_params(repository / "params.yaml")["dataset"]["source"]
    if not (repository / source).exists():
        raise UserError(
            f"the source {source} is neither in git nor in DVC; `dvc add` it, or `git checkout params.yaml`"
        )


def _nothing_to_do(repository: Path, environment: Mapping[str, str], terminal: Terminal) -> None:
    status = terminal.show(["dvc", "status"], repository, environment)
    if "up to date" not in status:
        raise UserError("dvc.lock is older than what it was made from; `make run` first")
    if "Running stage" in terminal.show(["dvc", "repro"], repository, environment):
        raise UserError("a stage ran that had nothing to do; please report it")


def _change_a_param(repository: Path, environment: Mapping[str, str], terminal: Terminal) -> None:
    """The first verdict by influence: what must run, that alone run, and what then must run."""
    stage = f"cleanse_influence@{next(iter(load_params('rounds', dict[str, dict[str, str]])))}"
    before = read_params(repository / "params.yaml")["cleanse_influence"]["by"]
    after = "influence" if before == "support" else "support"
    print(f"\n$ {RULE}: {before} -> {after} in params.yaml", flush=True)
    with changed_params({RULE: after}, repository / "params.yaml"):
        terminal.show(["dvc", "status"], repository, environment)
        ran = terminal.show(["dvc", "repro", "--single-item", stage], repository, environment)
        if ran.count("Running stage") != 1:
            raise UserError(f"{stage} alone had to run")
        terminal.show(["dvc", "status"], repository, environment)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"git {arguments[0]} failed: {' '.join(done.stderr.split())}")
    return done.stdout


def main() -> None:
    """The command line."""
    terminal = Terminal()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, terminal.stop)
    try:
        with tempfile.TemporaryDirectory(prefix="winnow-remote-demo-") as folder:
            demonstrate(Path(folder), terminal)
    except (UserError, KeyboardInterrupt) as error:
        reason = "interrupted; the server is stopped and nothing is left" if terminal.stopped else error
        sys.exit(f"remote-demo: {reason}")


if __name__ == "__main__":
    main()
