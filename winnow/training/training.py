"""Whole networks trained as the competition's trainer trains its fixed model, and their evaluation.

Arrays in, results out. ``competition`` is that trainer exactly; another profile may differ from it in the fields of
``Profile`` and in nothing else, and a network of the user's own is trained alike. One difference lies outside this
module: that trainer resizes the delivered image to 32 x 32 directly, while here every arm and the test set have the
size at which the source is analysed.

Source: the 2021 Data-Centric AI Competition's trainer (TensorFlow 2, Keras).
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.pipeline.fields import Batch, Epochs, NoneOrSteps, Rate, section
from winnow.training.budget import epochs_within
from winnow.training.keras_adam import ADAM_BETAS, ADAM_EPSILON, set_update
from winnow.training.network import FixedModel, half_precision, preprocess, wide

EVALUATION_BATCH = 128  # the fastest on one CPU thread; 512 runs at half its speed


Tick = Callable[[], None]


@section
class Profile:
    """How a whole network is trained; a section below `judge.profiles`, and `finetune`."""

    epochs: Epochs
    batch: Batch  # images an update
    learning_rate: Rate
    schedule: Literal["constant", "cosine"]  # cosine: from learning_rate to 0 over the run
    most_steps: NoneOrSteps  # updates; a larger set trains for fewer epochs, at least 1. 0: no limit
    # Of training and of the choice of epoch; bfloat16 where that is faster.
    precision: Literal["float32", "bfloat16"]

    def epochs_on(self, images: int) -> int:
        """Epochs of a run on so many images."""
        return epochs_within(self.epochs, most_steps=self.most_steps, batch=self.batch, images=images)

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of update ``step`` of ``steps``, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2


@dataclass(frozen=True)
class Labelled:
    """Images, or their features, with their class indices."""

    images: npt.NDArray[Any]  # (N, H, W, 1 or 3) uint8 pixels, or (N, D) features
    labels: npt.NDArray[np.int64]  # (N,)


@dataclass(frozen=True)
class Epoch:
    """One point of the training curve."""

    train_loss: float  # mean over the epoch's images, each at its own step
    val_accuracy: float  # nan without validation images


@dataclass(frozen=True)
class Trained:
    """The model at its chosen epoch."""

    model: nn.Module  # in evaluation mode
    best_epoch: int  # counted from 1
    curve: tuple[Epoch, ...]


@dataclass(frozen=True)
class Evaluation:
    """The model's predictions for a labelled set, and their figures."""

    predicted: npt.NDArray[np.int64]  # (N,)
    accuracy: float
    loss: float  # mean cross-entropy
    recall: dict[int, float]  # by class index; a class without images has none


class Batches(Protocol):
    """A labelled set as a network takes it, on its device."""

    labels: Tensor  # (N,)

    def __len__(self) -> int:
        """N."""

    def pick(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) images, channels last in memory, and (B,) labels."""


AsBatches = Callable[[Labelled, torch.device], Batches]
Network = Callable[[int, torch.Generator], nn.Module]  # of K classes


class FixedInputs:
    """A labelled set as the fixed model takes it."""

    def __init__(self, data: Labelled, device: torch.device) -> None:
        # Rows of height, width, channel: a batch picked by index is channels-last without another copy.
        self.rows = preprocess(data.images).permute(0, 2, 3, 1).contiguous().to(device)  # (N, 32, 32, 3)
        self.labels = torch.from_numpy(np.array(data.labels, dtype=np.int64)).to(device)  # (N,)

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """(B, 3, 32, 32) images, channels last in memory, and (B,) labels."""
        return self.rows[index].permute(0, 3, 1, 2), self.labels[index]


def train(
    data: Labelled,
    validation: Labelled | None,
    *,
    classes: int,
    profile: Profile,
    seed: int,
    device: torch.device,
    tick: Tick = lambda: None,
    network: Network = FixedModel,
    as_batches: AsBatches = FixedInputs,
    least_batch: int = 1,
) -> Trained:
    """The network after training, with the weights of the epoch of the best validation accuracy.

    Of epochs alike the first, as the competition's trainer saved it; the last where the learning rate falls, since few
    validation images are often alike, and the later weights have settled.

    Adam on the batch's mean cross-entropy; every epoch visits every image once in a new order, and the last batch
    may be smaller, or larger by those that are too few for one. Running averages of batch norm are part of the weights
    chosen.

    Args:
        data: the images trained on, at least one.
        validation: the images that choose the epoch, at least one; None: the last epoch is taken.
        classes: K, the width of the output.
        profile: epochs, batch, learning rate and precision.
        seed: of the first weights and of every order.
        device: where to compute; the orders are drawn on the CPU, so they are the same everywhere.
        tick: called after every epoch.
        network: the fixed model, or another.
        as_batches: how it takes images.
        least_batch: images of a last batch; fewer join the one before.

    Raises:
        ValueError: one of the two sets is empty.
    """
    check_sets(data, validation)
    generator = torch.Generator().manual_seed(seed)
    model = network(classes, generator).to(device)
    batches = as_batches(data, device)
    held_out = None if validation is None else as_batches(validation, device)
    optimiser = torch.optim.Adam(
        model.parameters(), lr=profile.learning_rate, betas=ADAM_BETAS, eps=ADAM_EPSILON, fused=True
    )
    curve: list[Epoch] = []
    best: tuple[float, int, nn.Module] | None = None
    epochs = profile.epochs_on(len(batches))
    for number in range(1, epochs + 1):
        order = torch.randperm(len(batches), generator=generator).to(device)  # (N,)
        parts = split_order(order, profile.batch, least=least_batch)
        loss = _train_epoch(model, batches, parts, optimiser, profile, number, epochs)
        accuracy = math.nan if held_out is None else _accuracy(model, held_out, profile.precision)
        curve.append(Epoch(loss, accuracy))
        tie_won = profile.schedule == "cosine" and best is not None and accuracy == best[0]
        if held_out is not None and (best is None or accuracy > best[0] or tie_won):
            best = (accuracy, number, copy.deepcopy(model))
        tick()
    if best is None:
        return Trained(model.eval(), epochs, tuple(curve))
    return Trained(best[2].eval(), best[1], tuple(curve))


def check_sets(data: Labelled, validation: Labelled | None) -> None:
    """Stop where there is nothing to train on, or validation images are to choose the epoch and there are none.

    Raises:
        ValueError: so it is.
    """
    chosen_by = 1 if validation is None else len(validation.labels)
    if not len(data.labels) or not chosen_by:
        raise ValueError(f"training needs train and val images, got {len(data.labels)} and {chosen_by}")


def split_order(order: Tensor, batch: int, *, least: int) -> list[Tensor]:
    """An epoch's batches, of ``batch`` images; a last one of fewer than ``least`` joins the one before."""
    parts = list(torch.split(order, batch))
    if len(parts) > 1 and len(parts[-1]) < least:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def _train_epoch(
    model: nn.Module,
    data: Batches,
    parts: Sequence[Tensor],
    optimiser: torch.optim.Adam,
    profile: Profile,
    number: int,
    epochs: int,
) -> float:
    """Mean loss over epoch ``number`` of ``epochs``, counted from 1, whose batches are ``parts``."""
    model.train()
    device = data.labels.device
    total = torch.zeros((), device=device)
    for position, part in enumerate(parts):
        images, labels = data.pick(part)  # (B, 3, 32, 32), (B,)
        step = (number - 1) * len(parts) + position
        set_update(optimiser, rate=profile.rate(step, epochs * len(parts)), step=step)
        with half_precision(device, wanted=profile.precision == "bfloat16"):
            logits = model(images)  # (B, K)
        loss = functional.cross_entropy(wide(logits), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.detach() * len(labels)
    return total.item() / len(data)


def evaluate(
    model: nn.Module, data: Labelled, *, device: torch.device, as_batches: AsBatches = FixedInputs
) -> Evaluation:
    """The model's predictions for every image, in float32 and evaluation mode.

    Args:
        model: moved to the device.
        data: at least one image.
        device: where to compute.
        as_batches: how the model takes images.
    """
    logits = _logits(model.to(device).eval(), as_batches(data, device), "float32").cpu()  # (N, K)
    return evaluation_of(logits, data.labels)


def evaluation_of(logits: Tensor, wanted: npt.NDArray[np.int64]) -> Evaluation:
    """The figures of (N, K) logits against (N,) labels."""
    labels = torch.from_numpy(np.array(wanted, dtype=np.int64))
    predicted = logits.argmax(dim=1).numpy()
    right = predicted == wanted
    return Evaluation(
        predicted=predicted,
        accuracy=float(right.mean()),
        loss=functional.cross_entropy(logits, labels).item(),
        recall={int(k): float(right[wanted == k].mean()) for k in np.unique(wanted)},
    )


def _accuracy(model: nn.Module, data: Batches, precision: str) -> float:
    model.eval()
    right = (_logits(model, data, precision).argmax(dim=1) == data.labels).sum()
    return right.item() / len(data)


def _logits(model: nn.Module, data: Batches, precision: str) -> Tensor:
    """(N, K) logits of every image, in order."""
    device = data.labels.device
    with torch.inference_mode(), half_precision(device, wanted=precision == "bfloat16"):
        starts = range(0, len(data), EVALUATION_BATCH)
        return torch.cat([model(data.pick(slice(start, start + EVALUATION_BATCH))[0]) for start in starts]).float()
