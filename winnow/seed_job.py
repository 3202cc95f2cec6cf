"""The judge's job for one seed of one arm, as a worker process runs it."""

from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from safetensors.torch import save

from winnow.judge import Evaluation, Labelled, Profile, Trained, evaluate, train
from winnow.network import pick_device
from winnow.parallel import Tick
from winnow.seed_files import PREDICTIONS, SeedFiles


@dataclass(frozen=True)
class Task:
    """What every seed of an arm shares."""

    train: Labelled
    val: Labelled
    test: Labelled
    test_ids: list[str]
    classes: list[str]
    profile_name: str
    profile: Profile


def judge_seed(task: Task, seed: int, fingerprint: str, files: SeedFiles, tick: Tick) -> None:
    """Train and evaluate one seed and write its files as soon as it is done: a run killed later keeps them."""
    device, k = pick_device(), len(task.classes)
    trained = train(task.train, task.val, classes=k, profile=task.profile, seed=seed, device=device, tick=tick)
    result = evaluate(trained.model, task.test, device=device)
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
    """What the seed's JSON says about training and test."""
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
