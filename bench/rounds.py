"""What a round costs: each of its stages run anew on the embedded source, in a copy of this repository."""

import tempfile
import time
from pathlib import Path

import yaml
from dvc.repo import Repo

from bench.command import run_python
from bench.remote_demo import copy_repository
from bench.timing import Figure, figure
from winnow.pipeline.files import ROOT

ROUND = "r1"


def measure(*, images: int, rounds: int) -> list[Figure]:
    """Seconds by stage and of the round, once; ``images`` and ``rounds`` are for the other benchmarks.

    The pipeline must have run here: the copy takes what the stages read from this repository's cache.
    """
    with Repo(str(ROOT)) as repo:
        cache = str(repo.cache.local_cache_dir)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    names = [f"{name}@{ROUND}" for name, stage in stages.items() if stage.get("foreach") == "${rounds}"]
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name) / "repository"
        copy_repository(ROOT, repository)
        _dvc(repository, "cache", "dir", "--local", cache)
        _dvc(repository, "checkout", "--quiet")
        seconds = {}
        for stage in names:
            start = time.perf_counter()
            _dvc(repository, "repro", "--quiet", "--force", "--single-item", stage)
            seconds[stage] = time.perf_counter() - start
    by_stage = [figure(stage, [taken], "s") for stage, taken in seconds.items()]
    return [*by_stage, figure("the round", [sum(seconds.values())], "s")]


def _dvc(repository: Path, *arguments: str) -> None:
    run_python("-m", "dvc", *arguments, folder=repository)
