"""Value every image by heads on a backbone's features, each without one fold: influence on those it learnt."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winnow.influence.columns import BookColumns
from winnow.influence.head import BookFeatures, influence_on_head
from winnow.influence.head_lean import Moved, lean_influence_on_head
from winnow.training.head import Head, HeadProfile, train_head
from winnow.training.network import pick_device

Features = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FeatureData:
    """What every job of a valuation by heads reads."""

    features: Features  # (N, D), all train and val images
    labels: Indices  # (N,) class indices as they stand
    book: Features  # (M, D), the label book
    book_labels: Indices  # (M,)
    columns: BookColumns
    classes: int  # K


def value_head(
    data: FeatureData,
    members: npt.NDArray[np.bool_],
    profile: HeadProfile,
    seed: int,
    exact: bool,
    into: Path,
    tick: Callable[[], None],
) -> list[float]:
    """Train one head and value the images by it; a job for a worker.

    Args:
        data: the features.
        members: (N,) the images to train on, n of them.
        profile: of the run.
        seed: of the orders.
        exact: with the curvature; else the lean form.
        into: file for the members' (n, columns) effects.
        tick: called once an epoch.

    Returns:
        Mean training loss an epoch.
    """
    device = pick_device()
    curve: list[float] = []

    def after_epoch(_: Head, loss: float) -> None:
        curve.append(loss)
        tick()

    given = torch.from_numpy(data.features).to(device)  # mapped where it came as a file: copied nowhere
    rows = torch.from_numpy(np.flatnonzero(members))
    moved = None if exact else Moved(rows, profile, data.classes, given)
    head, run = train_head(
        given,
        torch.from_numpy(np.array(data.labels)).to(device),
        rows,
        classes=data.classes,
        profile=profile,
        seed=seed,
        after_epoch=after_epoch,
        after_update=_ignore if moved is None else moved.add,
        record=exact,
    )
    trusted, trusted_labels = (torch.from_numpy(np.array(one)).to(device) for one in (data.book, data.book_labels))
    book = BookFeatures(trusted, trusted_labels, data.columns)
    if moved is None:
        effect = influence_on_head(head, run, profile, book)[members]
    else:
        effect = lean_influence_on_head(head, given, rows, moved, book)
    np.save(into, effect)
    return curve


def _ignore(batch: Tensor, residual: Tensor) -> None:
    """The record has it."""
