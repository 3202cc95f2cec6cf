"""The judge's job for one seed of one arm, and the digest of the code that does it."""

import ast
import hashlib
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from safetensors.torch import save

from winnow.engine.jobs import Tick
from winnow.evaluation.seed_files import PREDICTIONS, SeedFiles
from winnow.model.learner import Learner
from winnow.model.stored import Stored
from winnow.training.training import Evaluation, Labelled, Trained

IMAGES_A_TICK = 500  # trained on; arms of other sizes then move the progress bar at the same speed


def source_code(*scripts: Path) -> str:
    """Hex digest of the code of the scripts and of every winnow module loaded; comments and layout do not count."""
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("winnow.")]
    paths = [*scripts, *(Path(module.__file__) for module in modules if module.__file__)]
    trees = [ast.dump(ast.parse(path.read_bytes())) for path in paths]
    return hashlib.sha256("\0".join(trees).encode()).hexdigest()


@dataclass(frozen=True)
class Task:
    """What every seed of an arm shares."""

    train: Stored  # read by each job: the arms together would fill the memory
    val: Stored
    test: Labelled
    test_ids: list[str]
    classes: list[str]
    profile_name: str
    learner: Learner


def ticks(learner: Learner, images: int) -> int:
    """Steps of the progress bar that a training on so many images takes."""
    return learner.epochs_on(images) * math.ceil(images / IMAGES_A_TICK)


def judge_seed(task: Task, seed: int, fingerprint: str, files: SeedFiles, tick: Tick) -> None:
    """Train and evaluate one seed and write its files as soon as it is done: a run killed later keeps them."""
    units = math.ceil(len(task.train.labels) / IMAGES_A_TICK)

    def after_epoch() -> None:
        for _ in range(units):
            tick()

    trained = task.learner.train(
        task.train.read(), task.val.read(), classes=len(task.classes), seed=seed, tick=after_epoch
    )
    result = task.learner.evaluate(trained, task.test)
    weights = {name: tensor.cpu().contiguous() for name, tensor in trained.model.state_dict().items()}
    names = np.array(task.classes)
    files.write(
        fingerprint,
        # One key only: safetensors writes several in an order that changes from run to run.
        weights=save(weights, metadata={"fingerprint": fingerprint}),
        predictions=pa.table([task.test_ids, names[task.test.labels], names[result.predicted]], schema=PREDICTIONS),
        figures={"seed": seed, "fingerprint": fingerprint, **figures(task, trained, result)},
    )


def figures(task: Task, trained: Trained, result: Evaluation) -> dict[str, object]:
    """The figures of training and test in the seed's JSON."""
    return {
        "profile": task.profile_name,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "recall": {task.classes[k]: recall for k, recall in result.recall.items()},
        "n_train": len(task.train.labels),
        "n_val": len(task.val.labels),
        "n_test": len(task.test.labels),
        "best_epoch": trained.best_epoch,
        "val_accuracy": trained.curve[trained.best_epoch - 1].val_accuracy,
        "curve": [asdict(epoch) for epoch in trained.curve],
    }
