"""How long a comparison of two revisions of a refined dataset takes, sample by sample, as a whole command."""

import os
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa

from bench.command import run_python
from bench.memory import write_random
from bench.pipeline import pretend_run
from bench.remote_demo import copy_repository
from bench.timing import Figure, figure, interleaved
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import read_samples, samples_table
from winnow.pipeline.files import ROOT, write_table
from winnow.verdicts.ledger import PIPELINE, VERDICT_SCHEMA

COUNT = 10_000
EVERY = 20  # one sample in so many is dropped, and another relabelled
ROUND, STAGE = "r1", "cleanse_neighbours"


def measure(*, images: int, rounds: int) -> list[Figure]:
    """Seconds of the whole command; ``images`` is for the other benchmarks."""
    with tempfile.TemporaryDirectory() as name:
        repository, dataset = Path(name) / "repository", Path(name) / "random"
        copy_repository(ROOT, repository)
        write_random(dataset, COUNT)
        pretend_run(repository, dataset, os.environ)
        _commit(repository, dataset, refined=False)
        _commit(repository, dataset, refined=True)
        times = interleaved({"diff": lambda: _diff(repository)}, rounds=rounds)
    return [figure(f"winnow.diff between two revisions of {COUNT} samples", times["diff"], "s", at_most=3.0)]


def _commit(repository: Path, dataset: Path, *, refined: bool) -> None:
    """Record the pipeline with or without verdicts that drop and relabel."""
    samples = read_samples(dataset)
    train = [row for row in samples.to_pylist() if row["split"] == "train"]
    other = {row["id"]: train[(number + 1) % len(train)]["label"] for number, row in enumerate(train)}
    verdicts, left = [], [row for row in samples.to_pylist() if row["split"] != "train"]
    for number, row in enumerate(train):
        action = {0: "drop", 1: "relabel"}.get(number % EVERY, "keep") if refined else "keep"
        after = {"drop": None, "relabel": other[row["id"]], "keep": row["label"]}[action]
        labels = {"label_before": row["label"], "label_after": after}
        why = {"reason": "support 0.10", "support": 0.1, "evidence": [train[0]["id"]] * 10, "by": PIPELINE}
        verdicts.append({"id": row["id"], "round": ROUND, "action": action, **labels, **why})
        if after is not None:
            left.append({**row, "label": after})
    kept = [{**row, "action": "keep", "label_after": row["label_before"]} for row in verdicts]
    for path in (repository / "data").rglob("verdicts.parquet"):
        rows = verdicts if path.parent.name == STAGE else kept
        named = [{**row, "stage": path.parent.name} for row in rows]
        write_table(path, pa.Table.from_pylist(named, schema=VERDICT_SCHEMA))
    classes = sorted({row["label"] for row in train})
    write_dataset(repository / "data/refined", samples_table(left, classes), shards_from=[dataset])
    run_python("-m", "dvc", "commit", "--quiet", "--force", folder=repository)
    author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    subprocess.run(["git", *author, "commit", "--quiet", "--all", "-m", "refined"], cwd=repository, check=True)


def _diff(repository: Path) -> None:
    text = run_python("-m", "winnow.diff", "HEAD~1", "HEAD", folder=repository, code=1)
    if f"{COUNT // EVERY}" not in text:
        raise SystemExit(f"the difference is not what was planted:\n{text}")
