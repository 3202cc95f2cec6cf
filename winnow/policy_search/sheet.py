"""A policy for people: a table of its sub-policies, and source images beside their copies."""

import numpy as np
import numpy.typing as npt
import torch

from winnow.augmentation.policy import Policy, Step, sample
from winnow.pictures.contact_sheet import contact_sheet

TABLE = ("sub_policy", "stage", "operation", "probability", "magnitude", "classes_cut_back")


CLASSES, COPIES, TILE = 12, 7, 88  # rows at most, copies per row, pixels of a copy's side


def policy_table(policy: Policy) -> list[list[object]]:
    """One row per stage, with the columns of ``TABLE``; counted from 1."""
    return [
        [n, stage, step.operation, f"{step.probability:.3f}", f"{step.magnitude:.3f}", _cut_back(policy, step)]
        for n, steps in enumerate(policy.sub_policies, start=1)
        for stage, step in enumerate(steps, start=1)
    ]


def _cut_back(policy: Policy, step: Step) -> int:
    """Classes whose limit is below the stage's magnitude; what an earlier stage used up is not counted."""
    return sum(limit < step.magnitude for limit in policy.limits.get(step.operation, {}).values())


def shown_on_sheet(labels: npt.NDArray[np.str_], *, seed: int) -> list[int]:
    """Rows of an image of each class, of the first classes alone where there are many."""
    rng = np.random.default_rng(seed)
    return [int(rng.choice(np.flatnonzero(labels == label))) for label in np.unique(labels)[:CLASSES].tolist()]


def policy_sheet(policy: Policy, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.str_], *, seed: int) -> bytes:
    """PNG bytes, one row an image: it, and its copies by the policy; "-" where a draw changed nothing.

    Args:
        policy: sampled within its limits.
        pixels: (N, H, W, C) of the images that are shown.
        labels: (N,) class names.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    shown: list[npt.NDArray[np.uint8]] = []
    captions: list[str] = []
    for original, label in zip(pixels, labels.tolist(), strict=True):  # (H, W, C)
        copies, plan = sample(policy, np.stack([original] * COPIES), [label] * COPIES, generator, chained=1)
        shown += [original, *copies]
        captions += [label, *(" ".join(f"{s.operation} {s.magnitude:.2f}" for s in steps) or "-" for steps in plan)]
    return contact_sheet(shown, captions, columns=1 + COPIES, tile=TILE)
