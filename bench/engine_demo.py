"""Run the judge's jobs on every engine: ``make engine-demo``.

    python -m bench.engine_demo [--engines NAME ...] [--seeds N] [--folder PATH] [--record MACHINE]

The judge of a finished run, this repository's by default, is repeated by two workers of this machine, by a Ray cluster
and by a Slurm of two nodes each, both started here for it. On each engine it runs twice: undisturbed, for the time, and
with a worker killed in the middle of a job. All must write the same bytes, and leave no process and no file. The
repository is only read: the stage runs in a temporary copy.

Writes  build/engines.json  seconds; efficiency, the time of the local workers over the engine's; seconds that the
                            workers used of their processors, which other programs change less
        metrics/engines.json, with --record, the same with commit and machine
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.judge_again import JudgeCopy, Ran
from bench.provenance import commit_of
from bench.ray_cluster import ray_cluster
from bench.remote_demo import Terminal
from bench.slurm_cluster import missing_programs, slurm_cluster
from winnow.engine import ray_worker
from winnow.pipeline.files import ROOT, write_json
from winnow.pipeline.messages import UserError

RESULT, RECORD = ROOT / "build/engines.json", ROOT / "metrics/engines.json"


WORKERS = 2  # local ones, and nodes of the clusters


SHORT = "/tmp"  # paths of the clusters' sockets may have 107 bytes, which TMPDIR may use up


@dataclass(frozen=True)
class Place:
    """An engine that is ready."""

    settings: Mapping[str, Any]  # engine.yaml
    environment: Mapping[str, str]
    workers: Callable[[], list[psutil.Process]]  # those that have a job
    processes: Callable[[], list[psutil.Process]]  # all, those that wait for jobs too


@contextmanager
def local(folder: Path) -> Iterator[Place]:
    """Workers of this machine."""

    def workers() -> list[psutil.Process]:
        children = psutil.Process().children(recursive=True)
        return [one for one in children if _is_forked(one)]

    yield Place({"engine": "local", "cores": WORKERS}, os.environ, workers, workers)


@contextmanager
def ray(folder: Path) -> Iterator[Place]:
    """A Ray cluster."""
    with ray_cluster(folder, nodes=WORKERS) as cluster:

        def workers() -> list[psutil.Process]:
            named = f"ray::{ray_worker.run.__name__}"  # while it has a job
            return [one for one in cluster.processes() if _words(one)[0].strip() == named]

        yield Place({"engine": "ray", "address": cluster.address}, os.environ, workers, cluster.processes)


@contextmanager
def slurm(folder: Path) -> Iterator[Place]:
    """A Slurm."""
    with slurm_cluster(folder, nodes=WORKERS) as cluster:

        def workers() -> list[psutil.Process]:
            return [one for one in cluster.processes() if _words(one)[1:4] == ["-u", "-m", "submitit.core._submit"]]

        yield Place({"engine": "slurm"}, cluster.environment(), workers, cluster.processes)


def _is_forked(process: psutil.Process) -> bool:
    """Whether it is a worker that multiprocessing's server forked; the server itself has the same command line."""
    with contextlib.suppress(psutil.Error):
        parent = process.parent()
        return parent is not None and all(
            "multiprocessing.forkserver" in " ".join(_words(p)) for p in (process, parent)
        )
    return False


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline() or [""]
    return [""]


ENGINES: dict[str, Callable[[Path], contextlib.AbstractContextManager[Place]]] = {
    "local": local,
    "ray": ray,
    "slurm": slurm,
}


def demonstrate(
    folder: Path, terminal: Terminal, names: list[str], seeds: int | None, finished: Path = ROOT
) -> dict[str, Any]:
    """The whole demonstration; figures by engine.

    Args:
        folder: new, for the copy of this repository.
        terminal: that shows the commands.
        names: of the engines; local is the first.
        seeds: that every arm is trained with; None: those of params.yaml.
        finished: repository whose run has ended.

    Raises:
        KeyboardInterrupt: a signal came.
        UserError: the pipeline was not run, or an engine did not do what it must.
    """
    copy = JudgeCopy.of(finished, folder / "here", seeds)
    figures: dict[str, Any] = {"jobs": copy.jobs, "workers": WORKERS}
    figures |= {"seconds": {}, "efficiency": {}, "processor_seconds": {}}
    wanted: dict[str, str] = {}
    for name in names:
        print(f"\nengine-demo: {copy.jobs} jobs by the engine {name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="winnow-", dir=SHORT) as place:
            with ENGINES[name](Path(place)) as engine:
                calm = copy.run(terminal, engine)
                killed = copy.run(terminal, engine, kill_after=calm.processor_seconds / copy.jobs / 2)
                wanted = wanted or calm.files
                _check(name, calm, killed, wanted)
            if left := [*engine.processes(), *copy.left()]:
                raise UserError(f"the engine {name} left {left[0]}; please report it")
        figures["seconds"][name] = round(calm.seconds, 1)
        figures["efficiency"][name] = round(figures["seconds"]["local"] / calm.seconds, 3)
        figures["processor_seconds"][name] = round(calm.processor_seconds, 1)
        print(
            f"engine-demo: {name}: {calm.seconds:.1f} s, {figures['efficiency'][name]:.2f} of local's speed; "
            f"{calm.processor_seconds:.1f} s of cores; {killed.seconds:.1f} s with process {killed.killed} killed, "
            f"the same {len(wanted)} files; nothing left",
            flush=True,
        )
    return figures


def _check(name: str, calm: Ran, killed: Ran, wanted: Mapping[str, str]) -> None:
    if killed.killed is None:
        raise UserError(f"no worker of the engine {name} was killed: its jobs are too short; give more --seeds")
    for how, ran in (("undisturbed", calm), ("with a worker killed", killed)):
        if other := sorted(set(ran.files.items()) ^ set(wanted.items())):
            raise UserError(f"the engine {name}, {how}, wrote another {other[0][0]} than two local workers")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), help="local is always one")
    parser.add_argument("--folder", type=Path, default=ROOT, help="repository whose run has ended (default: this one)")
    parser.add_argument("--seeds", type=int, help="that every arm is trained with (default: those of params.yaml)")
    parser.add_argument("--record", metavar="MACHINE", help="write metrics/engines.json; what the machine is")
    options = parser.parse_args()
    terminal = Terminal()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, terminal.stop)
    absent = missing_programs() if "slurm" in options.engines else []
    names = [
        name for name in ENGINES if name == "local" or (name in options.engines and not (name == "slurm" and absent))
    ]
    try:
        commit = commit_of(ROOT) if options.record else None
        with tempfile.TemporaryDirectory(prefix="winnow-engine-demo-") as folder:
            figures = demonstrate(Path(folder), terminal, names, options.seeds, options.folder.resolve())
        write_json(RESULT, figures)
        if options.record:
            write_json(RECORD, {"commit": commit, "machine": options.record, **figures})
    except (UserError, KeyboardInterrupt) as error:
        reason = "interrupted; the clusters are stopped and nothing is left" if terminal.stopped else error
        sys.exit(f"engine-demo: {reason}")
    if absent:
        sys.exit(
            f"engine-demo: the part with Slurm is left out, since {', '.join(absent)} not found; on Debian "
            "`apt-get install slurm-wlm munge` brings them"
        )


if __name__ == "__main__":
    main()
