"""Train the fixed model on every arm that is judged, once per seed, and test it.

Reads   --arms     folder of datasets, <arm>: train and val; val chooses the epoch
        --test     dataset: test, read by this stage alone
Writes  --models   by arm and seed: <arm>/seed-<s>.safetensors (chosen weights), .parquet (id, label, predicted), .seal
        --metrics  by arm and seed: <arm>/seed-<s>.json (accuracy, loss, recall a class, best epoch, training curve)
Params  judge, compare.judged, compare.seeds

A seed whose files have the seal of the same inputs, params and code is not trained again: a new seed or arm costs that
one alone, and a run that was stopped continues where it was. Files of seeds and arms no longer judged are deleted.
"""

import hashlib
import math
from pathlib import Path

import numpy as np
import torch

from winnow.dataset.images import read_images
from winnow.dataset.samples import class_names, column, label_indices, only_splits, read_samples, train_and_val
from winnow.evaluation.judge import IMAGES_A_TICK, Task, judge_seed, source_code
from winnow.evaluation.seed_files import SeedFiles, check_seeds, remove_others
from winnow.pipeline.fields import section
from winnow.pipeline.files import digest
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.pipeline.workers import run_jobs
from winnow.training.training import Labelled, Profile


@section
class Params:
    """Section `judge`."""

    profile: str  # which of profiles trains the arms
    max_images: int  # train plus val; what the competition allowed
    profiles: dict[str, Profile]

    def __post_init__(self) -> None:
        if self.profile not in self.profiles:
            raise ValueError(f"profile must be one of {', '.join(self.profiles)}, got {self.profile}")

    @property
    def chosen(self) -> Profile:
        """The profile that trains the arms."""
        return self.profiles[self.profile]


def main(
    params: Params, judged: list[str], seeds: list[int], *, arms: Path, test: Path, models: Path, metrics: Path
) -> None:
    """Run the stage on the arms and the test set given."""
    check_seeds(seeds)
    code = source_code(Path(__file__))
    remove_others(models, metrics, judged, seeds)
    jobs: list[tuple[Task, int, str, SeedFiles]] = []
    for arm in judged:
        same = f"{digest([arms / arm, test])} {params.profile} {params.chosen} {code} {torch.__version__}"
        fingerprints = {seed: hashlib.sha256(f"{same} {seed}".encode()).hexdigest() for seed in seeds}
        files = {seed: SeedFiles(models / arm, metrics / arm, seed) for seed in seeds}
        todo = [seed for seed in seeds if not files[seed].holds(fingerprints[seed])]
        if todo:
            task = read_task(params, arm=arms / arm, test=test)
            jobs += [(task, seed, fingerprints[seed], files[seed]) for seed in todo]
    if jobs:
        # The longest first, so that no core waits for one that was started last.
        jobs.sort(key=lambda job: -len(job[0].train.labels))
        steps = sum(_ticks(params, len(task.train.labels)) for task, *_ in jobs)
        run_jobs(judge_seed, jobs, steps=steps, label=f"judge ({params.profile}): {IMAGES_A_TICK} images")
    for arm in judged:
        figures = [SeedFiles(models / arm, metrics / arm, seed).read_figures() for seed in seeds]
        print(f"judge: {arm} has a mean test accuracy of {np.mean([one['accuracy'] for one in figures]):.3f}")
    reused = len(judged) * len(seeds) - len(jobs)
    print(f"judge: {len(judged)} arms, {len(seeds)} seeds ({params.profile}); {len(jobs)} trained, {reused} reused")


def _ticks(params: Params, images: int) -> int:
    """Steps of the progress bar that a training on so many images takes."""
    return params.chosen.epochs_on(images) * math.ceil(images / IMAGES_A_TICK)


def read_task(params: Params, *, arm: Path, test: Path) -> Task:
    """The arm and the test set in memory.

    Raises:
        UserError: a split is empty, there are too many images, or the two do not name the same classes.
    """
    samples, test_samples = train_and_val(arm, max_images=params.max_images), only_splits(read_samples(test), "test")
    classes = class_names(samples)
    if classes != class_names(test_samples):
        raise UserError(f"{arm} and {test} do not have the same classes; run `dvc repro prepare`")
    if not test_samples.num_rows:
        raise UserError(f"{test}: no test images are left; the judge needs some")
    sides = {split: only_splits(samples, split) for split in ("train", "val")} | {"test": test_samples}
    ids = {split: [str(identifier) for identifier in column(side, "id")] for split, side in sides.items()}
    data = {
        split: Labelled(read_images(test if split == "test" else arm, ids[split]), label_indices(side))
        for split, side in sides.items()
    }
    return Task(**data, test_ids=ids["test"], classes=classes, profile_name=params.profile, profile=params.chosen)


SECTIONS: Sections = {
    "params": ("judge", Params),
    "judged": ("compare.judged", list[str]),
    "seeds": ("compare.seeds", list[int]),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
