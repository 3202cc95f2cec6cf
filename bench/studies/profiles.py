"""Test accuracy of arms under variations of a profile of the judge: ``python -m bench.studies.profiles``.

    python -m bench.studies.profiles --arms baseline full --profile --profile learning_rate=0.0005,most_steps=4500

Each ``--profile`` is the profile named by ``--base`` with the fields given, none for the profile itself. The arms are
the datasets in data/arms and stay as they are, so the pipeline must have run; the test set is data/test. The source's
model must be the competition's, which alone is trained by such a profile.

Log: docs/log/2026-11-24-quick-profile.md, docs/log/2026-11-26-quick-profile-with-copies.md.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.timing import machine
from stages.judge import Params, read_task, read_test
from winnow.backbone.card import read_card
from winnow.engine.jobs import run_jobs
from winnow.evaluation.comparison_table import interval_text
from winnow.evaluation.intervals import accuracy_interval
from winnow.model.answers import answers
from winnow.model.inputs import read_inputs
from winnow.model.learner import FixedLearner
from winnow.pipeline.files import write_json
from winnow.pipeline.params import load_params
from winnow.training.training import Profile

RESULT = Path("build/studies/profiles.json")
ARMS, TEST = Path("data/arms"), Path("data/test")
MODEL, PIXELS, FEATURES, USER = (
    Path(name) for name in ("data/model.json", "data/pixels", "data/features", "models/user")
)


def varied(base: Profile, changes: str) -> Profile:
    """The profile with the fields of ``name=value,name=value`` changed, each to its own type.

    Raises:
        ValueError: a field is not known, or its value is not of its type.
    """
    kinds = {field.name: type(getattr(base, field.name)) for field in dataclasses.fields(base)}
    values = {}
    for name, _, value in (change.partition("=") for change in changes.split(",") if change):
        if name not in kinds:
            raise ValueError(f"a profile has the fields {', '.join(kinds)}, got {name}")
        values[name] = kinds[name](value)
    return dataclasses.replace(base, **values)


def measure(params: Params, arm: Path, test: Path, profile: Profile, seeds: list[int]) -> npt.NDArray[np.bool_]:
    """(S, N) true where the model of seed s is right about test image n."""
    inputs, learner = read_inputs(MODEL, PIXELS, FEATURES), FixedLearner(profile)
    tested = read_test(inputs, test, USER)
    task = read_task(inputs, tested, "varied", learner, arm=arm, test=test, most=params.max_images)
    jobs = [(task.train.read(), task.val.read(), task.test, len(task.classes), learner, seed) for seed in seeds]
    steps = len(seeds) * profile.epochs_on(len(task.train.labels))
    return np.stack(run_jobs(answers, jobs, steps=steps, label=f"profiles: {arm.name}: epochs"))


def main() -> None:
    """Train every arm under every profile, and write the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", required=True, help="folders of data/arms")
    parser.add_argument("--base", default="quick", help="profile of params.yaml that is varied (default: quick)")
    parser.add_argument("--profile", nargs="?", const="", action="append", help="fields that differ from the base")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each training (default: 2)")
    options = parser.parse_args()
    if not read_card(MODEL).competition:
        parser.error(f"{MODEL} names another model than the competition's, which alone has such profiles")
    params = load_params("judge", Params)
    found = {}
    for changes in options.profile or [""]:
        profile = varied(params.profiles[options.base], changes)
        for arm in options.arms:
            right = measure(params, ARMS / arm, TEST, profile, list(range(options.seeds)))
            figures = accuracy_interval(right).figures()
            name = " ".join([options.base, changes]).strip()
            found[f"{arm}: {name}"] = {**figures, "by_seed": right.mean(axis=1).tolist()}
            by_seed = " ".join(f"{accuracy:.4f}" for accuracy in right.mean(axis=1))
            print(f"profiles: {arm}: {name}: {interval_text(figures)} ({by_seed})", flush=True)
    write_json(RESULT, {"accuracy": found, "facts": {**vars(options), **machine()}})
    print(f"profiles: written to {RESULT}")


if __name__ == "__main__":
    main()
