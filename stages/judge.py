"""Train the model on every arm that is judged, once per seed, and test it.

Reads   --arms     folder of datasets, <arm>: train and val; val chooses the epoch
        --test     dataset: test, read by this stage alone
        --model    JSON: the model
        --pixels   arrays of the source images at its size
        --features arrays of their features
        --user     folder with the user's own code and weights
Writes  --models   by arm and seed: <arm>/seed-<s>.safetensors (chosen weights), .parquet (id, label, predicted), .seal
        --metrics  by arm and seed: <arm>/seed-<s>.json (accuracy, loss, recall a class, best epoch, training curve)
Params  judge, head, finetune, compare.judged, compare.seeds

A seed whose files have the seal of the same inputs, params and code is not trained again: a new seed or arm costs that
one alone, and a run that was stopped continues where it was. Files of seeds and arms no longer judged are deleted.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch

from winnow.dataset.arrays import write_rows
from winnow.dataset.samples import class_names, label_indices, only_splits, read_samples, train_and_val
from winnow.engine.folders import folder_for_all
from winnow.engine.jobs import run_jobs
from winnow.evaluation.judge import IMAGES_A_TICK, Task, judge_seed, source_code, ticks
from winnow.evaluation.seed_files import SeedFiles, check_seeds, remove_others
from winnow.model.extraction import Extraction, write_features
from winnow.model.inputs import Inputs, read_inputs
from winnow.model.learner import Learner, learner_of
from winnow.model.squares import squares
from winnow.model.stored import Stored
from winnow.pipeline.durable import sweep
from winnow.pipeline.fields import Count, Seeds, section
from winnow.pipeline.files import digest
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.training.head import HeadProfile
from winnow.training.training import Labelled, Profile


@section
class Params:
    """Section `judge`."""

    profile: str  # which of profiles trains the arms
    max_images: Count  # competition: train plus val, what it allowed
    profiles: dict[str, Profile]

    def __post_init__(self) -> None:
        if self.profile not in self.profiles:
            raise ValueError(f"profile must be one of {', '.join(self.profiles)}, got {self.profile}")

    @property
    def chosen(self) -> Profile:
        """The profile that trains the arms."""
        return self.profiles[self.profile]


def main(
    params: Params,
    head: HeadProfile,
    finetune: Profile,
    judged: list[str],
    seeds: list[int],
    *,
    arms: Path,
    test: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user: Path,
    models: Path,
    metrics: Path,
) -> None:
    """Run the stage on the arms and the test set given."""
    check_seeds(seeds)
    code, inputs = source_code(Path(__file__)), read_inputs(model, pixels, features)
    learner = learner_of(inputs.card, fixed=params.chosen, head=head, finetune=finetune, user_folder=user)
    profile = params.profile if inputs.card.competition else "head" if inputs.card.frozen else "finetune"
    remove_others(models, metrics, judged, seeds)
    jobs: list[tuple[Task, int, str, SeedFiles]] = []
    tested: Labelled | None = None
    for arm in judged:
        same = f"{digest([arms / arm, test, model, user])} {profile} {learner} {code} {torch.__version__}"
        fingerprints = {seed: hashlib.sha256(f"{same} {seed}".encode()).hexdigest() for seed in seeds}
        files = {seed: SeedFiles(models / arm, metrics / arm, seed) for seed in seeds}
        todo = [seed for seed in seeds if not files[seed].holds(fingerprints[seed])]
        if todo:
            tested = tested or read_test(inputs, test, user)
            task = read_task(inputs, tested, profile, learner, arm=arms / arm, test=test, most=params.max_images)
            jobs += [(task, seed, fingerprints[seed], files[seed]) for seed in todo]
    if jobs:
        # The longest first, so that no core waits for one that was started last.
        jobs.sort(key=lambda job: -len(job[0].train.labels))
        steps = sum(ticks(learner, len(task.train.labels)) for task, *_ in jobs)
        run_jobs(judge_seed, jobs, steps=steps, label=f"judge ({profile}): {IMAGES_A_TICK} images")
    for arm in judged:
        for folder in (models / arm, metrics / arm):  # a job that was killed, and ran again, may have left something
            sweep(folder)
        figures = [SeedFiles(models / arm, metrics / arm, seed).read_figures() for seed in seeds]
        print(f"judge: {arm} has a mean test accuracy of {np.mean([one['accuracy'] for one in figures]):.3f}")
    reused = len(judged) * len(seeds) - len(jobs)
    print(f"judge: {len(judged)} arms, {len(seeds)} seeds ({profile}); {len(jobs)} trained, {reused} reused")


def read_test(inputs: Inputs, test: Path, user: Path) -> Labelled:
    """The test set as the model takes it, decoded and computed here, since no other stage reads it.

    Raises:
        UserError: it has no images.
    """
    samples = only_splits(read_samples(test), "test")
    if not samples.num_rows:
        raise UserError(f"{test}: no test images are left; the judge needs some")
    ids = samples["id"].to_pylist()
    with folder_for_all() as place:
        pixels, features = place / "pixels", place / "features"
        write_rows(pixels, squares(test, ids, inputs.card))
        own = Inputs(inputs.card, pixels, features)
        if inputs.card.frozen:
            write_features(Extraction(inputs.card, user), [pixels], ids, features)
        return Labelled(own.trained_on(test, ids), label_indices(samples))


def read_task(
    inputs: Inputs,
    tested: Labelled,
    profile: str,
    learner: Learner,
    *,
    arm: Path,
    test: Path,
    most: int,
) -> Task:
    """The arm, which each job reads, with the test set.

    Raises:
        UserError: a split is empty, there are too many images, or the two do not name the same classes.
    """
    samples = train_and_val(arm, max_images=most if inputs.card.competition else None)
    test_samples = only_splits(read_samples(test), "test")
    classes = class_names(samples)
    if classes != class_names(test_samples):
        raise UserError(f"{arm} and {test} do not have the same classes; run `dvc repro prepare`")
    sides = {split: only_splits(samples, split) for split in ("train", "val")}
    data = {split: Stored(inputs, arm, side["id"].to_pylist(), label_indices(side)) for split, side in sides.items()}
    ids = test_samples["id"].to_pylist()
    return Task(**data, test=tested, test_ids=ids, classes=classes, profile_name=profile, learner=learner)


SECTIONS: Sections = {
    "params": ("judge", Params),
    "head": ("head", HeadProfile),
    "finetune": ("finetune", Profile),
    "judged": ("compare.judged", list[str]),
    "seeds": ("compare.seeds", Seeds),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
