"""The comparison of arms: each with the baseline and with the arm before it, paired by seed and test image."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.evaluation.intervals import NO_CHANGE, accuracy_interval, error_reduction_interval, gain_interval
from winnow.evaluation.seed_files import SeedFiles
from winnow.pipeline.messages import UserError

COMPARISON = {  # key of metrics/comparison.json: meaning
    "<arm>.n_train": "training images of the arm",
    "<arm>.n_test": "test images",
    "<arm>.profile": "section of `judge.profiles` that trained it",
    "<arm>.accuracy.mean": "mean test accuracy over the seeds",
    "<arm>.accuracy.low": "lower end of its 95 % interval over seeds and test images",
    "<arm>.accuracy.high": "upper end",
    "<arm>.accuracy.seeds": "seeds",
    "<arm>.error_reduction.mean": "share of the first arm's errors that this one does not make; absent in the first",
    "<arm>.error_reduction.low": "lower end of its 95 % interval, paired by seed and test image",
    "<arm>.error_reduction.high": "upper end, at most 1",
    "<arm>.gain.mean": "mean accuracy minus that of the arm before it; absent in the first",
    "<arm>.gain.low": "lower end of its 95 % interval, paired by seed and test image",
    "<arm>.gain.high": "upper end",
}


@dataclass(frozen=True)
class ArmResult:
    """The judge's results for one arm."""

    n_train: int
    profile: str
    right: npt.NDArray[np.bool_]  # (S, N), true where seed s classes test image n right; images sorted by id
    test_ids: tuple[str, ...]  # (N,)
    curves: tuple[tuple[Mapping[str, float], ...], ...]  # by seed, by epoch: train_loss, val_accuracy

    def trained_as(self, other: "ArmResult") -> bool:
        """Whether every seed learned exactly as the other arm's did, as it does from the same images."""
        return (self.n_train, self.curves) == (other.n_train, other.curves)

    @property
    def trained(self) -> str:
        """Digest of how the seeds learned, equal where ``trained_as`` says so of arms of one size."""
        curves = [[dict(point) for point in curve] for curve in self.curves]
        return hashlib.sha256(json.dumps(curves).encode()).hexdigest()


def read_arm(files: Sequence[SeedFiles]) -> ArmResult:
    """The results of all seeds of one arm.

    Raises:
        UserError: a file is missing or damaged, or the seeds were judged on different data.
    """
    figures = [seed.read_figures() for seed in files]
    tables = [seed.read_predictions() for seed in files]
    ids = {tuple(table["id"].to_pylist()) for table in tables}
    judged_as = {(one["n_train"], one["profile"]) for one in figures}
    if len(ids) > 1 or len(judged_as) > 1:
        raise UserError(f"{files[0].models}: its seeds were judged on different images or profiles; run `dvc repro`")
    (n_train, profile), (test_ids,) = judged_as.pop(), ids
    right = [np.array(table["label"].to_pylist()) == np.array(table["predicted"].to_pylist()) for table in tables]
    return ArmResult(n_train, profile, np.stack(right), test_ids, tuple(tuple(one["curve"]) for one in figures))


def compare(arms: Mapping[str, ArmResult]) -> dict[str, dict[str, Any]]:
    """metrics/comparison.json: by arm, in the order given; the first is the baseline.

    The baseline has neither error reduction nor gain, and no arm has an error reduction where the baseline makes no
    errors. Two arms that were trained alike differ by exactly 0.

    Raises:
        UserError: two arms were judged on different test images, or with different profiles.
    """
    baseline, *_ = arms.values()
    before: ArmResult | None = None
    comparison: dict[str, dict[str, Any]] = {}
    for name, arm in arms.items():
        if (arm.test_ids, arm.profile) != (baseline.test_ids, baseline.profile):
            raise UserError(f"arm {name} was judged on other test images or with another profile; run `dvc repro`")
        seeds, images = arm.right.shape
        accuracy = accuracy_interval(arm.right).figures() | {"seeds": seeds}
        comparison[name] = {"n_train": arm.n_train, "n_test": images, "profile": arm.profile, "accuracy": accuracy}
        if before is not None:
            reduction = error_reduction_interval(arm.right, baseline.right)
            if reduction is not None:
                same = arm.trained_as(baseline)
                comparison[name]["error_reduction"] = (NO_CHANGE if same else reduction).figures()
            comparison[name]["gain"] = gain(arm, before)
        before = arm
    return comparison


def gain(arm: ArmResult, before: ArmResult) -> dict[str, float]:
    """Mean, low and high of one arm's accuracy minus another's; exactly 0 where both were trained alike."""
    same = arm.trained_as(before)
    return (NO_CHANGE if same else gain_interval(arm.right, before.right)).figures()


def mean_curves(arms: Mapping[str, ArmResult]) -> list[tuple[str, int, float, float]]:
    """Rows of arm, epoch (from 1), mean train loss and mean validation accuracy over the seeds."""
    return [
        (
            name,
            epoch,
            float(np.mean([point["train_loss"] for point in points])),
            float(np.mean([point["val_accuracy"] for point in points])),
        )
        for name, arm in arms.items()
        for epoch, points in enumerate(zip(*arm.curves, strict=True), start=1)
    ]
