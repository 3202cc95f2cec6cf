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

from winnow.pipeline.fields import Batch, BelowOne, Epochs, Rate, Weight, section

Features = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]


@section
class HeadProfile:
    """Section `head`: how heads are trained."""

    epochs: Epochs
    batch: Batch  # images an update
    learning_rate: Rate  # at the first update; a half cosine takes it to 0
    momentum: BelowOne
    ridge: Weight  # pull of the weights towards 0, in units of one image's loss

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

    inputs: Tensor  # (N, D + 1) as the head takes them, of all images
    batches: list[Tensor] = field(default_factory=list)  # rows, an update each
    residuals: list[Tensor] = field(default_factory=list)  # (B, K) probability minus target, an update each
    rates: list[float] = field(default_factory=list)
    decay: float = 0.0  # ridge / N


def standardised_head(features: Tensor, members: Tensor, classes: int) -> Head:
    """A head of zero weights that standardises by the members' mean and spread."""
    head = Head(features.shape[1], classes).to(features.device, features.dtype)
    chosen = features[members]
    spread, mean = torch.std_mean(chosen, dim=0, correction=0)
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
        record: keep what HyDRA needs; else the record is empty.
        weights: (N,) how much each image's loss counts; None: 1.
    """
    generator = torch.Generator().manual_seed(seed)
    head = standardised_head(features, members.to(features.device), classes)
    inputs = head.inputs(features)
    targets = nn.functional.one_hot(labels, classes).to(features.dtype)
    run = Record(inputs, decay=profile.ridge / len(members))
    buffer = torch.zeros_like(head.weight)
    updates = math.ceil(len(members) / profile.batch)
    for epoch in range(profile.epochs):
        order = members[torch.randperm(len(members), generator=generator)]
        total = torch.zeros((), dtype=features.dtype, device=features.device)
        for position, batch in enumerate(torch.split(order, profile.batch)):
            rows = batch.to(features.device)
            probability = (inputs[rows] @ head.weight.T).softmax(dim=1)  # (B, K)
            residual = probability - targets[rows]
            total -= probability.gather(1, labels[rows, None]).log().sum()
            scaled = residual if weights is None else residual * weights[rows, None]
            gradient = scaled.T @ inputs[rows] / len(rows) + run.decay * head.weight
            step = epoch * updates + position
            buffer = gradient if step == 0 else profile.momentum * buffer + gradient
            rate = profile.rate(step, profile.epochs * updates)
            head.weight.sub_(rate * buffer)
            if record:
                run.batches.append(batch)
                run.residuals.append(residual)
                run.rates.append(rate)
        after_epoch(head, total.item() / len(members))
    return head, run
