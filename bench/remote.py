"""What shards save on a remote, and how long DVC takes to find that there is nothing to do.

A dataset as large as the refined one of the default params, as shards against the same images as loose PNGs, both
through plain DVC to one S3 server on this machine, in each round to an empty folder there. The time of a command is
what a person waits for; the transfer is that time without DVC's own start, which is a second for any amount of data.
"""

import functools
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from bench.command import run_python
from bench.embedded import draw_source, prepare_source
from bench.memory import write_random
from bench.pipeline import pretend_run
from bench.remote_demo import copy_repository
from bench.s3_server import S3Server, s3_server
from bench.timing import Figure, Times, figure, interleaved, ratios
from winnow.dataset.samples import read_samples
from winnow.pipeline.files import ROOT

PER_CLASS = 960  # about the 9,600 images that `augment.budget` and the edge cases leave
COUNTS = (2000, 20000)
MOST_ROUNDS = 3  # a round of loose files takes half a minute
OUTPUT = "refined"


def measure(*, images: int, rounds: int) -> list[Figure]:
    """Push and pull, objects and bytes, and DVC's idle commands; ``images`` is for the other benchmarks."""
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name) / "server") as server:
        folder = Path(name)
        return [*_travel(folder, server, min(rounds, MOST_ROUNDS)), *_idle(folder, server, min(rounds, MOST_ROUNDS))]


def _travel(folder: Path, server: S3Server, rounds: int) -> list[Figure]:
    dataset = prepare_source(draw_source(folder, train_per_class=PER_CLASS, test_per_class=1), folder)
    count = len(read_samples(dataset))
    origins = {"shards": folder / "shards", "loose": folder / "loose"}
    for origin in origins.values():
        _dvc_repository(origin, server)
    shutil.copytree(dataset, origins["shards"] / OUTPUT)
    _write_loose(dataset, origins["loose"] / OUTPUT)
    for origin in origins.values():
        _run(["-m", "dvc", "add", "--quiet", OUTPUT], origin, server.environment())
    times: Times = {}
    stored: dict[str, list[int]] = {}
    for number in range(rounds + 1):
        for case, origin in origins.items():
            shutil.rmtree(server.folder / "dvc", ignore_errors=True)  # what DVC remembers of a remote
            target = folder / f"{case}-{number}"
            shutil.copytree(origin, target, ignore=shutil.ignore_patterns("cache", "tmp", OUTPUT))
            before = len(server.objects()), server.stored_bytes()
            for action, where in (("push", origin), ("pull", target)):
                start = time.perf_counter()
                seconds = _run(["-m", "bench.transfer", action, f"{number}/{case}"], where, server.environment())
                if number:  # the first round is not counted
                    times.setdefault(f"{case} {action} command", []).append(time.perf_counter() - start)
                    times.setdefault(f"{case} {action}", []).append(float(seconds))
            stored[case] = [len(server.objects()) - before[0], server.stored_bytes() - before[1]]
            shutil.rmtree(target)
    return _travel_figures(times, stored, count)


def _travel_figures(times: Times, stored: Mapping[str, Sequence[int]], count: int) -> list[Figure]:
    figures = []
    for action in ("push", "pull"):
        for kind, target in (("", {"at_least": 10.0}), (" command", {})):
            loose, shards = f"loose {action}{kind}", f"shards {action}{kind}"
            figures += [
                figure(f"{action} {count} images{kind}, {c.split()[0]}", times[c], "s") for c in (shards, loose)
            ]
            title = f"{action}{kind or ', transfer'}: loose PNGs over shards"
            figures.append(figure(title, ratios(times, loose, shards), "x", **target))
    for case, (objects, size) in stored.items():
        figures += [
            figure(f"stored for {count} images, {case}", [objects], "objects"),
            figure(f"stored for {count} images, {case}", [size / 1e6], "MB"),
        ]
    return figures


def _idle(folder: Path, server: S3Server, rounds: int) -> list[Figure]:
    """``dvc status`` and ``dvc repro`` of the whole pipeline with nothing to do."""
    figures = []
    for count in COUNTS:
        repository = folder / f"pipeline-{count}"
        copy_repository(ROOT, repository)
        write_random(folder / f"random-{count}", count)
        pretend_run(repository, folder / f"random-{count}", server.environment())
        cases = {
            command: functools.partial(_run, ["-m", "dvc", command], repository, server.environment())
            for command in ("status", "repro")
        }
        for command, seconds in interleaved(cases, rounds=rounds).items():
            figures.append(figure(f"dvc {command}, nothing to do, {count} samples a dataset", seconds, "s"))
    return figures


def _dvc_repository(folder: Path, server: S3Server) -> None:
    folder.mkdir()
    _run(["-m", "dvc", "init", "--quiet", "--no-scm"], folder, server.environment())
    server.configure(folder)


def _write_loose(dataset: Path, folder: Path) -> None:
    """The images as files of their own, and the table beside them."""
    folder.mkdir()
    shutil.copyfile(dataset / "samples.parquet", folder / "samples.parquet")
    for shard in (dataset / "images").glob("*.parquet"):
        for row in pq.read_table(shard).to_pylist():
            (folder / f"{row['id']}.png").write_bytes(row["image"]["bytes"])


def _run(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """The last line that a Python command printed."""
    variables = {**environment, "PYTHONPATH": str(ROOT)}
    return run_python(*arguments, folder=folder, environment=variables).strip().rpartition("\n")[2]
