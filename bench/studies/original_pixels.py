"""The baseline from the working size and from the original pixels: ``python -m bench.studies.original_pixels RUN``.

RUN is a copy of this repository in which ``prepare`` and ``pixels`` have run on the competition's images. Its train and
val images train the fixed model by the profile ``competition``, in four variants:

    working          as the judge does: images at the working size (64 x 64, antialiased), subsampled to 32 x 32, and
                     every epoch in a new order of all images
    working-buffer   the same images in the order of the competition's trainer
    original         the images as delivered, subsampled to 32 x 32 at once; our order
    original-buffer  both, as that trainer does (``bench.studies.competition_trainer``)

Test accuracies have intervals over seeds and test images, differences are paired by both. One JSON line a seed is
written as soon as it is done; a seed that is there already is not trained again.

Log: docs/log/2026-11-27-original-pixels.md.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.results_text import markdown_table
from bench.studies.competition_trainer import Sets, originals, run_seed
from bench.timing import machine
from stages.judge import Params, read_task, read_test
from winnow.engine.jobs import run_jobs
from winnow.evaluation.comparison_table import interval_text
from winnow.evaluation.intervals import accuracy_interval, crossed_interval
from winnow.model.inputs import read_inputs
from winnow.model.learner import FixedLearner
from winnow.pipeline.files import digest
from winnow.pipeline.params import load_params
from winnow.training.training import Labelled

RESULT = Path("build/studies/original_pixels.jsonl")
PROFILE = "competition"
BUFFER = "-buffer"
VARIANTS = ("working", f"working{BUFFER}", "original", f"original{BUFFER}")
DIFFERENCES = {  # by name the variants that are added up, with their weights
    "original pixels, our order": {"original": 1.0, "working": -1.0},
    "original pixels, trainer's order": {"original-buffer": 1.0, "working-buffer": -1.0},
    "original pixels, mean of both": {"original": 0.5, "original-buffer": 0.5, "working": -0.5, "working-buffer": -0.5},
    "trainer's order, working size": {"working-buffer": 1.0, "working": -1.0},
    "trainer's order, mean of both": {"working-buffer": 0.5, "original-buffer": 0.5, "working": -0.5, "original": -0.5},
    "original pixels and trainer's order": {"original-buffer": 1.0, "working": -1.0},
}

Line = dict[str, Any]


def read_sets(run: Path, params: Params) -> dict[str, Sets]:
    """The baseline's images and the test's of a run, at the working size and from the original pixels.

    Args:
        run: the repository.
        params: section ``judge``.

    Raises:
        SystemExit: its model is not the competition's.
    """
    data = run / "data"
    inputs = read_inputs(data / "model.json", data / "pixels", data / "features")
    if not inputs.card.competition:
        raise SystemExit(f"{data / 'model.json'} names another model than the competition's; take a run of its images")
    prepared, test = data / "prepared", data / "test"
    tested, learner = read_test(inputs, test, run / "models" / "user"), FixedLearner(params.profiles[PROFILE])
    task = read_task(inputs, tested, PROFILE, learner, arm=prepared, test=test, most=params.max_images)
    working = {"train": task.train.read(), "val": task.val.read(), "test": task.test}
    folders = {"train": prepared, "val": prepared, "test": test}
    original = {split: Labelled(originals(folders[split], split), one.labels) for split, one in working.items()}
    return {
        "working": Sets(**working, classes=len(task.classes)),
        "original": Sets(**original, classes=len(task.classes)),
    }


def read_lines(file: Path, wanted: Iterable[Line]) -> list[Line]:
    """The lines of a file that are of what is wanted."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    keys = list(wanted)
    return [line for line in lines if any(key.items() <= line.items() for key in keys)]


def tables(lines: Iterable[Line]) -> str:
    """Accuracies by variant, and the differences, each over the seeds that its variants share, as Markdown."""
    found: dict[str, dict[int, npt.NDArray[np.bool_]]] = {}  # by variant and seed (N,) answers
    for line in lines:
        found.setdefault(line["variant"], {})[line["seed"]] = np.array([one == "1" for one in line["right"]])
    rows, differences = [], []
    for variant in (one for one in VARIANTS if one in found):
        right = np.stack([found[variant][seed] for seed in sorted(found[variant])])  # (S, N)
        by_seed = " ".join(f"{accuracy:.4f}" for accuracy in right.mean(axis=1))
        rows.append((variant, interval_text(accuracy_interval(right).figures()), by_seed))
    for name, weights in DIFFERENCES.items():
        seeds = sorted(set.intersection(*(set(found.get(one, {})) for one in weights)))
        if seeds:
            parts = [weight * np.stack([found[one][seed] for seed in seeds]) for one, weight in weights.items()]
            figures = crossed_interval(np.sum(parts, axis=0)).figures()
            differences.append((name, interval_text(figures, "+"), str(len(seeds))))
    accuracies = markdown_table(("variant", "test accuracy", "by seed"), rows)
    return f"{accuracies}\n\n{markdown_table(('difference', 'accuracy', 'seeds'), differences)}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a copy of this repository with data/prepared, data/test, data/pixels")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each variant (default: 2)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=RESULT, help=f"JSON lines (default: {RESULT})")
    options = parser.parse_args()
    params = load_params("judge", Params)
    profile, sets = params.profiles[PROFILE], read_sets(options.run, params)
    data = digest([options.run / "data" / name for name in ("prepared", "test", "pixels")])[:16]
    same = {"data": data, "profile": dataclasses.asdict(profile), "torch": torch.__version__}
    wanted = [{"variant": one, "seed": seed, **same} for seed in range(options.seeds) for one in options.variants]
    done = read_lines(options.out, wanted)
    todo = [key for key in wanted if not any(key.items() <= line.items() for line in done)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    jobs = [
        (sets[key["variant"].removesuffix(BUFFER)], key, key["variant"].endswith(BUFFER), profile, options.out)
        for key in todo
    ]
    run_jobs(run_seed, jobs, steps=profile.epochs * len(jobs), label="original pixels: epochs")
    lines = read_lines(options.out, wanted)
    print(f"{len(todo)} trained, {len(done)} there already; {machine()['cpu']}\n\n{tables(lines)}")


if __name__ == "__main__":
    main()
