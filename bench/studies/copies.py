"""Cross-validate ways of making copies, so that the test set stays unused: ``python -m bench.studies.copies``.

    python -m bench.studies.copies --dataset DATASET --policy models/r1/policy.json

DATASET is what the cleansing by influence leaves of a source whose model is the competition's. Its train, val and
label-book images are dealt into two folds. The training images of one fold are filled up to the budget by copies, its
validation images select the epoch, and the fixed model is evaluated on every image of the other fold, with its label as
it stands. Every draw deals the folds and makes the copies anew; the ways differ in the copies alone. The last column is
paired by draw, seed and image.

Log: docs/log/2026-11-26-chained-copies.md, docs/log/2026-11-25-search-length.md. Differs from the scripts behind those
tables: they took the last epoch.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.timing import machine
from stages.augment import Params as Augment
from stages.judge import Params as Judge
from winnow.augmentation.balance import choose_parents
from winnow.augmentation.copies import Draw, at_random, from_policy, make_copies
from winnow.augmentation.policy import Policy
from winnow.augmentation.policy_file import load_policy
from winnow.dataset.folds import deal_folds
from winnow.dataset.images import read_images
from winnow.dataset.samples import class_names, column, label_indices, only_source, read_samples
from winnow.engine.jobs import run_jobs
from winnow.evaluation.comparison_table import interval_text
from winnow.evaluation.intervals import accuracy_interval, gain_interval
from winnow.model.learner import FixedLearner
from winnow.pipeline.files import write_json
from winnow.pipeline.params import load_params
from winnow.training.training import Labelled, Profile
from winnow.transforms.views import random_affine

RESULT = Path("build/studies/copies.json")
PIXELS = Path("data/pixels")
FOLDS = 2
BASE = "random"  # what the other ways are compared with


@dataclass(frozen=True)
class Images:
    """Images that are dealt into folds."""

    pixels: npt.NDArray[np.uint8]  # (N, H, W, C)
    labels: npt.NDArray[np.int64]  # (N,)
    classes: list[str]
    splits: npt.NDArray[np.str_]  # (N,)
    groups: list[str]  # (N,) equal for images that belong together, as equal ones do


def ways(policy: Policy, augment: Augment) -> dict[str, Draw]:
    """What is compared, by name."""
    chained = {f"policy, chained by {number}": from_policy(policy, chained=number) for number in (1, 2, 3, 4)}
    return {
        BASE: at_random(policy),
        **chained,
        "policy, magnitudes halved": from_policy(halved(policy), chained=1),
        "affine by hand": lambda pixels, _, generator: random_affine(pixels, augment.affine, generator),
    }


def halved(policy: Policy) -> Policy:
    """The policy with every magnitude halved, inversion's left as it is."""
    sub_policies = tuple(
        tuple(replace(step, magnitude=step.magnitude / (1 if step.operation == "invert" else 2)) for step in steps)
        for steps in policy.sub_policies
    )
    return replace(policy, sub_policies=sub_policies)


def read(dataset: Path, pixels: Path) -> Images:
    """The source images of a dataset, copies left out; ``pixels`` is the folder of their arrays."""
    samples = only_source(read_samples(dataset))
    return Images(
        pixels=read_images(dataset, samples["id"].to_pylist(), pixels),
        labels=label_indices(samples),
        classes=class_names(samples),
        splits=column(samples, "split"),
        groups=samples["group"].to_pylist(),
    )


def filled_up(images: Images, rows: npt.NDArray[np.int64], draw: Draw, *, per_class: int, seed: int) -> Labelled:
    """The rows and copies of them, every class at the same count."""
    chosen = rows[choose_parents(images.labels[rows], per_class=per_class, rng=np.random.default_rng(seed))]
    names = [images.classes[label] for label in images.labels[chosen]]
    made = make_copies("study", draw, images.pixels[chosen], names, torch.Generator().manual_seed(seed))
    return Labelled(
        np.concatenate([images.pixels[rows], made.pixels]), np.concatenate([images.labels[rows], images.labels[chosen]])
    )


def answers(
    data: Labelled,
    validation: Labelled,
    asked: Labelled,
    classes: int,
    learner: FixedLearner,
    seed: int,
    tick: Callable[[], None],
) -> npt.NDArray[np.bool_]:
    """(N,) true where the model, at the epoch that validation images choose, classes an image as it is labelled."""
    trained = learner.train(data, validation, classes=classes, seed=seed, tick=tick)
    right: npt.NDArray[np.bool_] = learner.evaluate(trained, asked).predicted == asked.labels
    return right


def measure(
    images: Images, draws: dict[str, Draw], profile: Profile, *, budget: int, draw: int, seeds: int
) -> dict[str, npt.NDArray[np.bool_]]:
    """By way, (S, N) true where a model that saw neither image n nor a copy of it is right about it."""
    fold = deal_folds(images.labels, images.groups, folds=FOLDS, rng=np.random.default_rng(draw))
    jobs: list[tuple[Any, ...]] = []
    for make in draws.values():
        for number in range(FOLDS):
            own = fold != number
            train, val = (np.flatnonzero(own & (images.splits == split)) for split in ("train", "val"))
            data = filled_up(images, train, make, per_class=budget // len(images.classes), seed=draw)
            validation = Labelled(images.pixels[val], images.labels[val])
            asked = Labelled(images.pixels[~own], images.labels[~own])
            jobs += [
                (data, validation, asked, len(images.classes), FixedLearner(profile), seed) for seed in range(seeds)
            ]
    steps = sum(profile.epochs_on(len(job[0].labels)) for job in jobs)
    answered = iter(run_jobs(answers, jobs, steps=steps, label=f"copies: draw {draw}: epochs"))
    right = {name: np.zeros((seeds, len(images.labels)), dtype=bool) for name in draws}
    for name in draws:
        for number in range(FOLDS):
            for seed in range(seeds):
                right[name][seed, fold == number] = next(answered)
    return right


def main() -> None:
    """Measure every way and write the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--pixels", type=Path, default=PIXELS, help=f"of the stage `pixels` (default: {PIXELS})")
    parser.add_argument("--draws", type=int, default=2, help="of folds and copies (default: 2)")
    parser.add_argument("--seeds", type=int, default=2, help="of the fixed model, by draw (default: 2)")
    parser.add_argument("--epochs", type=int, default=12, help="of `quick` (default: 12)")
    parser.add_argument(
        "--budget", type=int, help="training images of a fold with its copies (default: augment.budget)"
    )
    options = parser.parse_args()
    augment, judge = load_params("augment", Augment), load_params("judge", Judge)
    images, made = read(options.dataset, options.pixels), ways(load_policy(options.policy), augment)
    profile = replace(judge.profiles["quick"], epochs=options.epochs)
    budget = options.budget or augment.budget
    by_draw = [
        measure(images, made, profile, budget=budget, draw=draw, seeds=options.seeds) for draw in range(options.draws)
    ]
    right = {name: np.concatenate([one[name] for one in by_draw]) for name in made}  # (draws * S, N)
    found = {}
    for name, answered in right.items():
        accuracy = accuracy_interval(answered).figures()
        gain = gain_interval(answered, right[BASE]).figures()
        found[name] = {"accuracy": accuracy, "gain": gain}
        print(f"copies: {name}: {interval_text(accuracy)}, above {BASE} {interval_text(gain, sign='+')}")
    write_json(
        RESULT,
        {
            "ways": found,
            "facts": {
                **{key: str(value) for key, value in vars(options).items()},
                "images": len(images.labels),
                **machine(),
            },
        },
    )
    print(f"copies: {len(images.labels)} images, {options.draws} draws, {options.seeds} seeds; written to {RESULT}")


if __name__ == "__main__":
    main()
