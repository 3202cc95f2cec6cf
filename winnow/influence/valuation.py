"""Value every image from several trajectories, each without one fold: HyDRA's removal effects on those it learnt.

The functions are jobs for workers: one trains a trajectory and leaves in a file what influence needs of it, the others
value a part of the images, or on a part of the columns, and leave the effects in files, which ``parts`` adds up.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winnow.influence.book_gradients import Book
from winnow.influence.columns import BookColumns
from winnow.influence.hydra import influence_by_checkpoints, influence_by_replay, reading_of
from winnow.influence.reading_file import load_reading, save_reading
from winnow.influence.trajectory import Run, Sgd, train
from winnow.training.budget import epochs_within
from winnow.training.network import pick_device, quick_statistics
from winnow.transforms.views import Ranges

Indices = npt.NDArray[np.int64]
Members = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]

BLOCK_IMAGES = 16_384  # valued by one job, about; so many that the label book's gradients cost little beside them


@dataclass(frozen=True)
class Plan:
    """How a trajectory is trained and read; the params that reach every worker."""

    epochs: int
    most_steps: int  # updates at most, but one epoch at least; 0: no limit
    batch: int
    batch_norm_momentum: float  # weight of the newest batch in the running statistics
    sgd: Sgd
    views: Ranges
    checkpoint_epochs: int
    replay: bool  # exact gradients by repeating the run, else those at the checkpoints
    influence_batch: int
    bfloat16: bool  # training and the checkpoints' products in half precision, where that is faster

    def epochs_on(self, images: int) -> int:
        """Epochs of a trajectory on so many images."""
        return epochs_within(self.epochs, most_steps=self.most_steps, batch=self.batch, images=images)

    def checkpoint_steps(self, images: int) -> int:
        """Steps that a checkpoint stands for: a shortened run has as many checkpoints as a whole one."""
        steps, epochs = math.ceil(images / self.batch), self.epochs_on(images)
        if epochs == self.epochs:
            return steps * self.checkpoint_epochs
        return math.ceil(steps * epochs / math.ceil(self.epochs / self.checkpoint_epochs))

    def checkpoints_on(self, images: int) -> int:
        """Checkpoints of a trajectory on so many images."""
        steps = math.ceil(images / self.batch) * self.epochs_on(images)
        return math.ceil(steps / self.checkpoint_steps(images))

    @property
    def block(self) -> int:
        """Images that one job values: whole batches, so that no figure depends on how many jobs there are."""
        return max(1, BLOCK_IMAGES // self.influence_batch) * self.influence_batch


@dataclass(frozen=True)
class Data:
    """What every job of a valuation by networks reads."""

    images: Pixels  # (N, H, W, C), all train and val images
    labels: Indices  # (N,) class indices as they stand
    book: Pixels  # (M, H, W, C), the label book
    book_labels: Indices  # (M,)
    columns: BookColumns
    classes: int  # K


def train_trajectory(
    data: Data, members: Members, plan: Plan, seed: int, into: Path, tick: Callable[[], None]
) -> list[float]:
    """Train one trajectory.

    Args:
        data: the images.
        members: (N,) the samples to train on.
        plan: the run.
        seed: of weights, order and views.
        into: file for what influence needs of it.
        tick: called once an epoch.

    Returns:
        Mean training loss an epoch.
    """
    run = _run(data, members, plan, seed)
    trajectory = train(run, tick=tick)
    save_reading(reading_of(run, trajectory), into)
    return trajectory.losses


def value_by_checkpoints(
    data: Data, members: Members, part: range, plan: Plan, trained: Path, into: Path, tick: Callable[[], None]
) -> None:
    """Value some samples by the checkpoints of a trajectory.

    Args:
        data: the images.
        members: (N,) the samples that it was trained on.
        part: of them, by place among the members, those that are valued.
        plan: how influence is read.
        trained: file of ``train_trajectory``.
        into: file for their (n, columns) effects.
        tick: called once a checkpoint and block of columns.
    """
    run = _run(data, members, plan, seed=0)
    effect = influence_by_checkpoints(
        run,
        load_reading(trained),
        _book(data),
        run.members[part.start : part.stop],
        batch=plan.influence_batch,
        bfloat16=plan.bfloat16,
        tick=tick,
    )
    np.save(into, effect)


def value_by_replay(
    data: Data,
    members: Members,
    columns: range,
    plan: Plan,
    seed: int,
    trained: Path,
    into: Path,
    tick: Callable[[], None],
) -> None:
    """Value the samples of a trajectory on some columns, by training it again.

    Args:
        data: the images.
        members: (N,) the samples that it was trained on, n of them.
        columns: on which they are valued.
        plan: the run.
        seed: of the run.
        trained: file of ``train_trajectory``.
        into: file for their (n, columns) effects.
        tick: called once an epoch.
    """
    run = _run(data, members, plan, seed)
    effect = influence_by_replay(run, load_reading(trained), _book(data), columns, tick=tick)
    np.save(into, effect[members])


def _run(data: Data, members: Members, plan: Plan, seed: int) -> Run:
    device = pick_device()
    images = int(members.sum())
    return Run(
        images=_planes(data.images).to(device),
        labels=torch.tensor(data.labels, device=device),
        members=torch.from_numpy(np.flatnonzero(members)),
        network=functools.partial(quick_statistics, data.classes, plan.batch_norm_momentum),
        sgd=plan.sgd,
        views=plan.views,
        epochs=plan.epochs_on(images),
        batch=plan.batch,
        checkpoint_steps=plan.checkpoint_steps(images),
        seed=seed,
        bfloat16=plan.bfloat16,
    )


def _book(data: Data) -> Book:
    device = pick_device()
    labels = torch.tensor(data.book_labels, device=device)
    return Book(_planes(data.book).to(device), labels, data.columns)


def _planes(images: Pixels) -> Tensor:
    """(N, H, W, C) seen as (N, C, H, W), the pixels not copied."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)
