"""One seeded SGD run of the fixed model, which can be repeated step by step and observed at each step.

HyDRA values samples along a trajectory, so the run itself is data: its batches, its rates, and its weights on the way.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.pipeline.fields import BelowOne, Rate, Share, Weight, section
from winnow.training.network import INPUT_SIZE, half_precision, normalise, wide
from winnow.transforms.views import Ranges, random_views

State = dict[str, Tensor]


BeforeStep = Callable[[int, nn.Module, Tensor, Tensor], None]


@section
class Sgd:
    """The optimiser, in PyTorch's terms."""

    learning_rate: Rate  # at the first step; a half cosine takes it to 0 where `cosine`
    momentum: BelowOne
    dampening: Share
    weight_decay: Weight  # coupled: added to the gradient
    nesterov: bool
    cosine: bool

    def __post_init__(self) -> None:
        if self.nesterov and (self.momentum == 0 or self.dampening > 0):
            raise ValueError("nesterov needs momentum above 0 and dampening 0")


@dataclass(frozen=True)
class Run:
    """Everything that a run depends on; the same run gives the same weights."""

    images: Tensor  # (N, C, H, W) uint8
    labels: Tensor  # (N,) int64
    members: Tensor  # indices of the samples trained on
    network: Callable[[torch.Generator], nn.Module]
    sgd: Sgd
    views: Ranges
    epochs: int
    batch: int
    checkpoint_steps: int  # a checkpoint stands for so many steps
    seed: int
    bfloat16: bool  # of the forward and backward passes, where that is faster
    weights: Tensor | None = None  # (N,) how often a sample's loss counts in its batch's mean; None: once


@dataclass(frozen=True)
class Checkpoint:
    """The weights in the middle of the steps that they stand for."""

    steps: range
    state: State


@dataclass
class Trajectory:
    """What is recorded of a run."""

    batches: list[Tensor] = field(default_factory=list)  # indices into Run.images, a step each
    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # mean training loss, an epoch each
    checkpoints: list[Checkpoint] = field(default_factory=list)
    state: State = field(default_factory=dict)  # the last weights and running statistics

    def model(self, run: Run) -> nn.Module:
        """The network at the end of the run."""
        return network_at(run, self.state)


def network_at(run: Run, state: State) -> nn.Module:
    """The network of a run with these weights."""
    model = run.network(torch.Generator()).to(run.images.device)
    model.load_state_dict(state)
    return model


def train(run: Run, *, tick: Callable[[], None], before_step: BeforeStep | None = None) -> Trajectory:
    """Train as ``run`` says.

    Args:
        run: data, optimiser, seed.
        tick: called once an epoch.
        before_step: called with (step, model, inputs, batch indices) before each update; must not change the model.
    """
    generator = torch.Generator().manual_seed(run.seed)
    model = run.network(generator).to(run.images.device)
    sgd = run.sgd
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=sgd.learning_rate,
        momentum=sgd.momentum,
        dampening=sgd.dampening,
        weight_decay=sgd.weight_decay,
        nesterov=sgd.nesterov,
        fused=True,
    )
    trajectory = Trajectory()
    steps = math.ceil(len(run.members) / run.batch)
    total = steps * run.epochs
    middles = {(part.start + part.stop) // 2: part for part in _segments(total, run.checkpoint_steps)}
    model.train()
    for _ in range(run.epochs):
        order = run.members[torch.randperm(len(run.members), generator=generator)]
        # One sum, and no list: small arrays that outlive the large ones of their step fragment the heap.
        loss_sum = torch.zeros((), device=run.images.device)
        for batch in torch.split(order, run.batch):
            step = len(trajectory.rates)
            if step in middles:
                trajectory.checkpoints.append(Checkpoint(middles[step], copy_state(model)))
            rows = batch.to(run.images.device)
            inputs = normalise(random_views(run.images[rows], run.views, generator, side=INPUT_SIZE))
            if before_step is not None:
                before_step(step, model, inputs, batch)
            rate = sgd.learning_rate * (0.5 * (1 + math.cos(math.pi * step / total)) if sgd.cosine else 1.0)
            optimiser.param_groups[0]["lr"] = rate
            with half_precision(run.images.device, wanted=run.bfloat16):
                logits = wide(model(inputs))  # (B, K)
            loss = _batch_loss(logits, run.labels[rows], None if run.weights is None else run.weights[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            trajectory.batches.append(batch)
            trajectory.rates.append(rate)
            loss_sum += loss.detach()
        trajectory.losses.append(loss_sum.item() / steps)
        tick()
    trajectory.state = copy_state(model)
    return trajectory


def _batch_loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Mean cross-entropy of a batch; a sample of weight 0 leaves the others' share as it was."""
    if weights is None:
        return functional.cross_entropy(logits, labels)
    return (weights * functional.cross_entropy(logits, labels, reduction="none")).mean()


def copy_state(model: nn.Module) -> State:
    """The weights and running statistics, detached from the model."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _segments(total: int, length: int) -> list[range]:
    """The steps 0..total-1 cut into parts of a length; the last part may be shorter."""
    return [range(start, min(total, start + length)) for start in range(0, total, length)]
