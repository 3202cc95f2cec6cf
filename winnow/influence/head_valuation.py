"""Value every image by cross-fitted heads: exact influence where a head was trained on it, probabilities where not.

The plan of ``valuation``: each run leaves out one fold, so that every image is valued by the runs that were trained
on it and judged by those that were not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from winnow.influence.head import influence_on_head
from winnow.training.head import HeadProfile, train_head
from winnow.training.network import pick_device

Array = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HeadValued:
    """What one run gives for the images."""

    effect: Array  # (N, M) removal effects, rows of zeros outside `members`
    probability: Array  # (N, K) of each class at the end of the run
    members: npt.NDArray[np.bool_]  # (N,) trained on
    curve: list[float]  # mean training loss an epoch


@dataclass(frozen=True)
class HeadValues:
    """All runs together."""

    effect: Array  # (N, M) mean over the runs that trained on the image
    outside: Array  # (N, K) mean probabilities of the others; NaN where a class was in none of their images


def value_head(
    features: Features,
    labels: Indices,
    book: Features,
    book_labels: Indices,
    members: npt.NDArray[np.bool_],
    classes: int,
    profile: HeadProfile,
    seed: int,
    tick: Callable[[], None],
) -> HeadValued:
    """Train one head and value the images by it; a job for a worker.

    Args:
        features: (N, D), all train and val images.
        labels: (N,) class indices as they stand.
        book: (M, D), the label book.
        book_labels: (M,).
        members: (N,) the images to train on.
        classes: K.
        profile: of the run.
        seed: of the orders.
        tick: called once an epoch.
    """
    device = pick_device()
    curve: list[float] = []

    def after_epoch(_: object, loss: float) -> None:
        curve.append(loss)
        tick()

    given = torch.from_numpy(np.array(features)).to(device)
    head, run = train_head(
        given,
        torch.from_numpy(np.array(labels)).to(device),
        torch.from_numpy(np.flatnonzero(members)),
        classes=classes,
        profile=profile,
        seed=seed,
        after_epoch=after_epoch,
        record=True,
    )
    queried = torch.from_numpy(np.array(book)).to(device), torch.from_numpy(np.array(book_labels)).to(device)
    probability = head.probabilities(features)
    absent = ~np.isin(np.arange(classes), labels[members])
    return HeadValued(
        influence_on_head(head, run, profile, *queried),
        np.where(absent, np.nan, probability),
        np.asarray(members),
        curve,
    )


def combine_heads(valued: Sequence[HeadValued]) -> HeadValues:
    """Means over the runs that trained on an image, and over those that did not."""
    members = np.stack([one.members for one in valued])  # (runs, N)
    effect = sum((one.effect for one in valued), np.zeros_like(valued[0].effect))
    effect = effect / np.maximum(members.sum(axis=0), 1)[:, None]
    probability = np.stack([one.probability for one in valued])  # (runs, N, K)
    known = ~members[:, :, None] & np.isfinite(probability)
    total = np.where(known, probability, 0).sum(axis=0)
    count = known.sum(axis=0)
    return HeadValues(effect, np.where(count > 0, total / np.maximum(count, 1), np.nan))
