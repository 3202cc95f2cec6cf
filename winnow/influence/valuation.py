"""Value every image from several trajectories, each without one fold: HyDRA's removal effects on those it learnt."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winnow.influence.hydra import influence_by_checkpoints, influence_by_replay
from winnow.influence.trajectory import Run, Sgd, train
from winnow.training.network import pick_device, quick_statistics
from winnow.transforms.views import Ranges

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """How a trajectory is trained and read; the params that reach every worker."""

    epochs: int
    batch: int
    batch_norm_momentum: float  # weight of the newest batch in the running statistics
    sgd: Sgd
    views: Ranges
    checkpoint_epochs: int
    replay: bool  # exact gradients by repeating the run, else those at the checkpoints
    influence_batch: int
    bfloat16: bool  # training and the checkpoints' products in half precision, where that is faster


@dataclass(frozen=True)
class Valued:
    """What one trajectory gives for the samples."""

    effect: Array  # (N, M) removal effects, rows of zeros outside `members`
    members: npt.NDArray[np.bool_]  # (N,) trained on
    curve: list[float]  # mean training loss an epoch


def value_trajectory(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    book: npt.NDArray[np.uint8],
    book_labels: npt.NDArray[np.int64],
    members: npt.NDArray[np.bool_],
    classes: int,
    plan: Plan,
    seed: int,
    tick: Callable[[], None],
) -> Valued:
    """Train one trajectory and value the samples by it.

    Args:
        images: (N, H, W, C), all train and val images.
        labels: (N,) class indices as they stand.
        book: (M, H, W, C), the label book.
        book_labels: (M,).
        members: (N,) the samples to train on.
        classes: K.
        plan: the run and how influence is read from it.
        seed: of weights, order and views.
        tick: called once an epoch, and once an epoch more where the run is repeated.
    """
    device = pick_device()
    run = Run(
        images=_planes(images).to(device),
        labels=torch.tensor(labels, device=device),
        members=torch.from_numpy(np.flatnonzero(members)),
        network=functools.partial(quick_statistics, classes, plan.batch_norm_momentum),
        sgd=plan.sgd,
        views=plan.views,
        epochs=plan.epochs,
        batch=plan.batch,
        checkpoint_epochs=plan.checkpoint_epochs,
        seed=seed,
        bfloat16=plan.bfloat16,
    )
    trajectory = train(run, tick=tick)
    inputs, targets = _planes(book).to(device), torch.tensor(book_labels, device=device)
    if plan.replay:
        effect = influence_by_replay(run, trajectory, inputs, targets, tick=tick)
    else:
        effect = influence_by_checkpoints(
            run, trajectory, inputs, targets, batch=plan.influence_batch, bfloat16=plan.bfloat16
        )
    return Valued(effect, members, trajectory.losses)


def _planes(images: npt.NDArray[np.uint8]) -> Tensor:
    """(N, H, W, C) seen as (N, C, H, W), the pixels not copied."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def mean_effect(valued: Sequence[Valued]) -> Array:
    """(N, M) mean over the trajectories that trained on a sample; 0 where none did."""
    effect = np.zeros_like(valued[0].effect)  # the largest array there is: summed in place
    for one in valued:
        effect += one.effect
    effect /= np.maximum(sum(one.members.astype(np.int64) for one in valued), 1)[:, None]
    return effect
