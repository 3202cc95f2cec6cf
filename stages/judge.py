"""Train the fixed model on one arm, once a seed, and let it say what it sees in the test set.

Reads   --arm      dataset: train and val; val chooses the epoch
        --test     dataset: test, read by this stage alone
Writes  --models   a seed: seed-<s>.safetensors (chosen weights), seed-<s>.parquet (id, label, predicted), seed-<s>.seal
        --metrics  a seed: seed-<s>.json (accuracy, loss, recall a class, best epoch, training curve)
Params  judge, compare.seeds

A seed whose files carry the seal of the same inputs, params and code is not trained again: a new seed costs that seed
alone, and a run that was stopped goes on where it was. Seeds no longer wanted are deleted.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from winnow.dataset.images import read_images
from winnow.dataset.samples import class_names, column, label_indices, only_splits, read_samples
from winnow.evaluation.judge import SeedFiles, Task, check_seeds, judge_seed, remove_others, source_code
from winnow.pipeline.files import digest
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.pipeline.workers import run_jobs
from winnow.training.training import Labelled, Profile


@dataclass(frozen=True)
class Params:
    """Section `judge`."""

    profile: str  # which of profiles trains the arms
    max_images: int  # train plus val; what the competition allowed
    profiles: dict[str, Profile]

    def __post_init__(self) -> None:
        """Refuse a profile that is not there."""
        if self.profile not in self.profiles:
            raise ValueError(f"profile must be one of {', '.join(self.profiles)}, got {self.profile}")

    @property
    def chosen(self) -> Profile:
        """The profile asked for."""
        return self.profiles[self.profile]


def main(params: Params, seeds: list[int], *, arm: Path, test: Path, models: Path, metrics: Path) -> None:
    """Run the stage on the arm and the test set given."""
    check_seeds(seeds)
    same = f"{digest([arm, test])} {params.profile} {params.chosen} {source_code(Path(__file__))} {torch.__version__}"
    remove_others(models, metrics, seeds)
    todo = []
    for seed in seeds:
        fingerprint = hashlib.sha256(f"{same} {seed}".encode()).hexdigest()
        files = SeedFiles(models, metrics, seed)
        if not files.holds(fingerprint):
            todo.append((seed, fingerprint, files))
    if todo:
        task = read_task(params, arm=arm, test=test)
        label = f"judge {arm.name} ({params.profile})"
        steps = len(todo) * params.chosen.epochs_on(len(task.train.labels))
        run_jobs(judge_seed, [(task, *job) for job in todo], steps=steps, label=label)
    accuracies = [SeedFiles(models, metrics, seed).read_figures()["accuracy"] for seed in seeds]
    print(
        f"judge: {arm.name} has a mean test accuracy of {np.mean(accuracies):.3f} over {len(seeds)} seeds "
        f"({params.profile}; {len(todo)} trained, {len(seeds) - len(todo)} reused)"
    )


def read_task(params: Params, *, arm: Path, test: Path) -> Task:
    """The arm and the test set in memory.

    Raises:
        UserError: a split is empty, there are too many images, or the two do not name the same classes.
    """
    samples, asked = read_samples(arm), read_samples(test)
    classes = class_names(samples)
    if classes != class_names(asked):
        raise UserError(f"{arm} and {test} do not have the same classes; run `dvc repro prepare`")
    sides = {split: only_splits(samples, split) for split in ("train", "val")} | {"test": only_splits(asked, "test")}
    for split, side in sides.items():
        if not side.num_rows:
            raise UserError(f"{test if split == 'test' else arm}: no {split} images are left; the judge needs some")
    count = sides["train"].num_rows + sides["val"].num_rows
    if count > params.max_images:
        raise UserError(f"{arm}: train and val may hold {params.max_images} images together, got {count}")
    ids = {split: [str(identifier) for identifier in column(side, "id")] for split, side in sides.items()}
    data = {
        split: Labelled(read_images(test if split == "test" else arm, ids[split]), label_indices(side))
        for split, side in sides.items()
    }
    return Task(**data, test_ids=ids["test"], classes=classes, profile_name=params.profile, profile=params.chosen)


SECTIONS: Sections = {"params": ("judge", Params), "seeds": ("compare.seeds", list[int])}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
