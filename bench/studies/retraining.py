"""The jobs behind fidelity: a trajectory with what it predicts, and a retraining with what really happens.

A removed sample has weight 0 in its batch's mean, and the batch stays as it is: the objective's epsilon at -1/N, the
very change that E_ij predicts. Order, views, first weights and batch statistics are those of the whole run.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from stages.value import Params
from winnow.influence.book_gradients import Book
from winnow.influence.columns import book_columns
from winnow.influence.hydra import influence_by_checkpoints, influence_by_replay, reading_of
from winnow.influence.trajectory import Run, Trajectory, train
from winnow.training.network import centre_views, quick_statistics

Array = npt.NDArray[np.float64]
Tick = Callable[[], None]


@dataclass(frozen=True)
class Subset:
    """The images that fidelity is measured on; all of them are trained on."""

    images: npt.NDArray[np.uint8]  # (N, H, W, C)
    labels: npt.NDArray[np.int64]
    trusted: npt.NDArray[np.uint8]  # (M, H, W, C), the label book
    trusted_labels: npt.NDArray[np.int64]
    classes: int

    @property
    def book(self) -> Book:
        """The label book, a column an image."""
        names = [str(number) for number in range(len(self.trusted))]
        columns = book_columns(names, self.trusted_labels, [], by_class=False)
        return Book(_planes(self.trusted), torch.tensor(self.trusted_labels), columns)


@dataclass(frozen=True)
class Prediction:
    """What a whole run says."""

    effects: dict[str, npt.NDArray[np.floating]]  # by method, (N, M) removal effects
    losses: Array  # (M,) of the label book at the end


def predict(subset: Subset, params: Params, seed: int, tick: Tick) -> Prediction:
    """Train on everything and value every sample; ticks once an epoch, twice in all."""
    run = _run(subset, params, seed, weights=None)
    trajectory = train(run, tick=tick)
    reading, book = reading_of(run, trajectory), subset.book
    by_checkpoints = functools.partial(
        influence_by_checkpoints, run, reading, book, run.members, batch=params.influence_batch, tick=lambda: None
    )
    effects = {
        "checkpoints": by_checkpoints(bfloat16=False),
        "checkpoints, bfloat16": by_checkpoints(bfloat16=True),
        "replay": influence_by_replay(run, reading, book, range(len(book.columns)), tick=tick),
    }
    return Prediction(effects, _book_losses(run, trajectory, subset))


def retrain(subset: Subset, params: Params, seed: int, removed: npt.NDArray[np.int64], tick: Tick) -> Array:
    """(M,) losses of the label book after the same run without some samples; ticks once an epoch."""
    weights = torch.ones(len(subset.labels))
    weights[torch.from_numpy(np.array(removed))] = 0.0
    run = _run(subset, params, seed, weights=weights)
    return _book_losses(run, train(run, tick=tick), subset)


def _run(subset: Subset, params: Params, seed: int, *, weights: Tensor | None) -> Run:
    # Every operation used writes all that it allocates; filling that first would cost time for nothing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return Run(
        images=_planes(subset.images),
        labels=torch.tensor(subset.labels),
        members=torch.arange(len(subset.labels)),
        network=functools.partial(quick_statistics, subset.classes, params.batch_norm_momentum),
        sgd=params.sgd,
        views=params.views,
        epochs=params.epochs,
        batch=params.batch,
        checkpoint_steps=params.checkpoint_epochs * math.ceil(len(subset.labels) / params.batch),
        seed=seed,
        bfloat16=params.precision == "bfloat16",
        weights=weights,
    )


@torch.inference_mode()
def _book_losses(run: Run, trajectory: Trajectory, subset: Subset) -> Array:
    book = subset.book
    model = trajectory.model(run).eval()
    losses = functional.cross_entropy(model(centre_views(book.images)), book.labels, reduction="none")
    found: Array = losses.double().numpy()
    return found


def _planes(images: npt.NDArray[np.uint8]) -> Tensor:
    return torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
