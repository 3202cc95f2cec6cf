"""Value every image from several cross-fitted trajectories: influence where it was trained on, confidence everywhere.

Each trajectory leaves out one fold. The samples it trains on get HyDRA's removal effects; all samples get the
probability that the run's checkpoints give to their label, a by-product that says how well the data explain it.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from winnow.influence.hydra import influence_by_checkpoints, influence_by_replay
from winnow.influence.trajectory import Run, Sgd, Trajectory, train
from winnow.training.network import centre_views, pick_device, quick_statistics
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
    confidence: Array  # (N,) probability of the label as it stands, mean over the checkpoints and the end
    members: npt.NDArray[np.bool_]  # (N,) trained on
    curve: list[float]  # mean training loss an epoch


@dataclass(frozen=True)
class Values:
    """All trajectories together."""

    effect: Array  # (N, M) mean over the trajectories that trained on the sample
    inside: Array  # (N,) mean confidence of those
    outside: Array  # (N,) mean confidence of the others; equal to `inside` where there is none


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
    return Valued(effect, mean_confidence(run, trajectory), members, trajectory.losses)


def _planes(images: npt.NDArray[np.uint8]) -> Tensor:
    """(N, H, W, C) seen as (N, C, H, W), the pixels not copied."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def mean_confidence(run: Run, trajectory: Trajectory) -> Array:
    """(N,) probability of every sample's label in evaluation mode, mean over the checkpoints and the end of the run."""
    states = [checkpoint.state for checkpoint in trajectory.checkpoints] + [trajectory.state]
    model = trajectory.model(run)
    total = np.zeros(len(run.images))
    for state in states:
        model.load_state_dict(state)
        total += _confidence(model, run)
    return total / len(states)


@torch.inference_mode()
def _confidence(model: nn.Module, run: Run) -> Array:
    model.eval()
    # One array, and no list of parts: see trajectory.train on the heap.
    confidence = torch.empty(len(run.images), device=run.images.device)
    for rows in torch.split(torch.arange(len(run.images), device=run.images.device), 128):
        probabilities = model(centre_views(run.images[rows])).softmax(dim=1)  # (B, K)
        confidence[rows] = probabilities.gather(1, run.labels[rows, None]).squeeze(1)
    return confidence.double().cpu().numpy()


def combine(valued: Sequence[Valued]) -> Values:
    """Means over the trajectories that trained on a sample, and over those that did not."""
    members = np.stack([one.members for one in valued])  # (trajectories, N)
    confidence = np.stack([one.confidence for one in valued])
    inside = (confidence * members).sum(axis=0) / np.maximum(members.sum(axis=0), 1)
    outside = (confidence * ~members).sum(axis=0) / np.maximum((~members).sum(axis=0), 1)
    left_out, trained_on = (~members).any(axis=0), members.any(axis=0)
    effect = np.zeros_like(valued[0].effect)  # (N, M), the largest array there is: summed in place
    for one in valued:
        effect += one.effect
    effect /= np.maximum(members.sum(axis=0), 1)[:, None]
    return Values(effect, np.where(trained_on, inside, outside), np.where(left_out, outside, inside))


def label_quality(values: Values) -> Array:
    """(N,) in [0, 1], the ranking that the product offers: lower is worse.

    The mean confidence in the label, half from runs that trained on the sample, half from runs that did not. On
    planted truth it finds wrong and unrecognisable images better than the removal effects do
    (docs/log/2026-11-24-fault-ranking.md), which are kept beside it as they are.
    """
    return (values.inside + values.outside) / 2
