r"""Heads: linear softmax classifiers on the features of a frozen backbone, trained by SGD in closed form.

Features are standardised by the training images' mean and spread, over sqrt(D), so that an image has about unit
length and one ``ridge`` suits backbones of any width. The objective is multinomial logistic regression's,

$$ \sum_i l_i + \tfrac{\text{ridge}}{2} \lVert W \rVert^2, $$

bias included, by gradients of batches: mean loss, plus ridge / N times the weights. A run can be recorded: its batches
and residuals are all that HyDRA needs (``winnow.influence.head``).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from winnow.pipeline.fields import Batch, BelowOne, Epochs, NoneOrSteps, Rate, Weight, section
from winnow.training.budget import epochs_within

COLUMN_VALUES = 2**24  # of features that are standardised together

Features = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]
AfterUpdate = Callable[[Tensor, Tensor], None]


@section
class HeadProfile:
    """Section `head`: how heads are trained."""

    epochs: Epochs
    most_steps: NoneOrSteps  # updates; a larger set trains for fewer epochs, at least 1. 0: no limit
    batch: Batch  # images an update
    learning_rate: Rate  # at the first update; a half cosine takes it to 0
    momentum: BelowOne
    ridge: Weight  # pull of the weights towards 0, in units of one image's loss

    def epochs_on(self, images: int) -> int:
        """Epochs of a run on so many images."""
        return epochs_within(self.epochs, most_steps=self.most_steps, batch=self.batch, images=images)

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of update ``step`` of ``steps``, counted from 0."""
        return self.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2


class Head(nn.Module):
    """(N, D) features to (N, K) logits."""

    mean: Tensor  # (D,)
    spread: Tensor  # (D,)

    def __init__(self, dimensions: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("spread", torch.ones(dimensions))
        self.weight = nn.Parameter(torch.zeros(classes, dimensions + 1))  # the bias last

    def inputs(self, features: Tensor) -> Tensor:
        """(N, D + 1) standardised features, about unit length, and a 1 for the bias."""
        scaled = (features - self.mean) / (self.spread * math.sqrt(features.shape[1]))
        return torch.cat([scaled, scaled.new_ones(len(scaled), 1)], dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, K) logits."""
        return self.inputs(features) @ self.weight.T

    @torch.inference_mode()
    def probabilities(self, features: Features) -> npt.NDArray[np.float64]:
        """(N, K)."""
        given = torch.as_tensor(np.asarray(features), dtype=self.weight.dtype, device=self.weight.device)
        return self(given).double().softmax(dim=1).cpu().numpy()  # type: ignore[no-any-return]


@dataclass
class Record:
    """A run: what each update did."""

    features: Tensor  # (N, D) of all images
    batches: list[Tensor] = field(default_factory=list)  # rows, an update each
    residuals: list[Tensor] = field(default_factory=list)  # (B, K) probability minus target, an update each
    rates: list[float] = field(default_factory=list)
    decay: float = 0.0  # ridge / N


def standardised_head(features: Tensor, members: Tensor, classes: int) -> Head:
    """A head of zero weights that standardises by the members' mean and spread."""
    head = Head(features.shape[1], classes).to(features.device, features.dtype)
    # Some columns at a time: the members' rows of a large set would be a second copy of it.
    wide = max(1, COLUMN_VALUES // len(members))
    parts = [torch.std_mean(some[members], dim=0, correction=0) for some in features.split(wide, dim=1)]
    spread, mean = (torch.cat(both) for both in zip(*parts, strict=True))
    head.mean.copy_(mean)
    head.spread.copy_(torch.where(spread > 1e-6 * spread.max(), spread, spread.max().clamp(min=1e-12)))
    return head


@torch.no_grad()
def train_head(
    features: Tensor,
    labels: Tensor,
    members: Tensor,
    *,
    classes: int,
    profile: HeadProfile,
    seed: int,
    after_epoch: Callable[[Head, float], None] = lambda head, loss: None,
    after_update: AfterUpdate = lambda batch, residual: None,
    record: bool = False,
    weights: Tensor | None = None,
) -> tuple[Head, Record]:
    """The head after training, and its run.

    Args:
        features: (N, D), float32 or float64, in which the head computes.
        labels: (N,) int64.
        members: rows trained on, at least one.
        classes: K.
        profile: epochs, batch, rates.
        seed: of the orders; the weights start at 0.
        after_epoch: called with the head and the epoch's mean loss.
        after_update: called with each update's rows and their (B, K) probability minus target.
        record: keep what HyDRA needs; else the record is empty.
        weights: (N,) how much each image's loss counts; None: 1.
    """
    generator = torch.Generator().manual_seed(seed)
    head = standardised_head(features, members.to(features.device), classes)
    run = Record(features, decay=profile.ridge / len(members))
    buffer = torch.zeros_like(head.weight)
    updates, epochs = math.ceil(len(members) / profile.batch), profile.epochs_on(len(members))
    least = torch.finfo(features.dtype).tiny
    for epoch in range(epochs):
        order = members[torch.randperm(len(members), generator=generator)]
        total = torch.zeros((), dtype=features.dtype, device=features.device)
        for position, batch in enumerate(torch.split(order, profile.batch)):
            rows = batch.to(features.device)
            # Of a batch alone, as are the targets: those of all images would be as large as the features themselves.
            inputs = head.inputs(features[rows])  # (B, D + 1)
            probability = (inputs @ head.weight.T).softmax(dim=1)  # (B, K)
            residual = probability - nn.functional.one_hot(labels[rows], classes).to(features.dtype)
            # A probability too small for its type would make the loss infinite, which no JSON holds.
            total -= probability.gather(1, labels[rows, None]).clamp(min=least).log().sum()
            scaled = residual if weights is None else residual * weights[rows, None]
            gradient = scaled.T @ inputs / len(rows) + run.decay * head.weight
            step = epoch * updates + position
            buffer = gradient if step == 0 else profile.momentum * buffer + gradient
            rate = profile.rate(step, epochs * updates)
            head.weight.sub_(rate * buffer)
            after_update(batch, residual)
            if record:
                run.batches.append(batch)
                run.residuals.append(residual)
                run.rates.append(rate)
        after_epoch(head, total.item() / len(members))
    return head, run
