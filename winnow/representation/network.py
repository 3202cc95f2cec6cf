"""The encoder, and its training on random views, which the classifier shares.

The encoder maps images at the working size to points on a sphere, where images of one class lie together: a small
residual network of our own; with K outputs that are not normalised it is a classifier.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from winnow.pipeline.fields import Batch, Epochs, NoneOrSteps, Rate, Weight, section
from winnow.training.network import half_precision, initialise, pick_device
from winnow.transforms.views import PairViews, random_pair_views

WIDTHS = (16, 32, 64, 128)


GREY_MEAN, GREY_SPREAD = 0.5, 0.5  # pixels in [0, 1] to [-1, 1]


class Block(nn.Module):
    """Halve the sides and widen, then one residual convolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
        self.widen_bn = nn.BatchNorm2d(channels_out)
        self.refine = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.refine_bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H / 2, W / 2)."""
        x = functional.relu_(self.widen_bn(self.widen(x)))
        return functional.relu_(self.refine_bn(self.refine(x)).add_(x))


class Encoder(nn.Module):
    """The network; ``dimensions`` is D."""

    def __init__(self, dimensions: int, generator: torch.Generator) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 3, stride=2, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(WIDTHS[0])
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in itertools.pairwise(WIDTHS)))
        self.head = nn.Linear(WIDTHS[-1], dimensions)
        initialise(self, generator)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1], C 1 or 3, to (B, D) of unit length."""
        return functional.normalize(self.outputs(images), dim=1)

    def outputs(self, images: Tensor) -> Tensor:
        """(B, D), of any length."""
        found: Tensor = self.head(self.features(images))
        return found.float()

    def features(self, images: Tensor) -> Tensor:
        """(B, 128) that the last layer reads."""
        x = ((images - GREY_MEAN) / GREY_SPREAD).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        x = functional.relu_(self.stem_bn(self.stem(x)))  # (B, 16, H / 2, W / 2)
        found: Tensor = self.blocks(x).mean(dim=(2, 3))
        return found


BETAS = (0.9, 0.99)


WARM_UP = 0.1  # share of the steps over which the rate rises from 0; it falls to 0 over the others


Pixels = npt.NDArray[np.uint8]


@section
class Training:
    """How long, how fast, and on what views."""

    epochs: Epochs
    most_steps: NoneOrSteps  # updates; with more images training ends sooner, even within an epoch. 0: no limit
    batch: Batch  # images a step
    learning_rate: Rate
    weight_decay: Weight
    views: PairViews

    def shortened(self, share: float) -> "Training":
        """The same for a share of the epochs, at least one."""
        return replace(self, epochs=max(1, round(share * self.epochs)))

    def batches(self, images: int) -> int:
        """Batches of an epoch on so many images."""
        return max(1, images // self.batch)

    def steps(self, images: int) -> int:
        """Updates of a training on so many images."""
        steps = self.epochs * self.batches(images)
        return min(steps, self.most_steps) if self.most_steps else steps

    def epochs_on(self, images: int) -> int:
        """Epochs that it begins; each ticks once."""
        return math.ceil(self.steps(images) / self.batches(images))


def train_on_views(
    images: Pixels,
    labels: npt.NDArray[np.int64],
    members: npt.NDArray[np.bool_],
    training: Training,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    *,
    outputs: int,
    views: int,
    seed: int,
    tick: Callable[[], None],
) -> dict[str, Tensor]:
    """Weights of a network trained on some of the images.

    Args:
        images: (N, H, W, C).
        labels: (N,) class indices.
        members: (N,) the images trained on; the network sees neither pixels nor label of any other.
        training: how.
        loss_of: (B, D) outputs of the network and (B,) labels to the loss.
        outputs: D of the network.
        views: of each image in a step.
        seed: of weights, order and views.
        tick: called once an epoch.

    Returns:
        The state of the network on the CPU.
    """
    generator, device = torch.Generator().manual_seed(seed), pick_device()
    network = Encoder(outputs, generator).to(device).train()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(device)  # (N, C, H, W)
    classes, rows = torch.tensor(labels, device=device), torch.from_numpy(np.flatnonzero(members))
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=training.learning_rate, betas=BETAS, weight_decay=training.weight_decay, fused=True
    )
    batches, steps = training.batches(len(rows)), training.steps(len(rows))
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    for epoch in range(training.epochs_on(len(rows))):
        order = rows[torch.randperm(len(rows), generator=generator)].to(device)
        for batch in torch.tensor_split(order, batches)[: steps - epoch * batches]:
            shown = batch.repeat(views)  # (B views,)
            with half_precision(device, wanted=True):
                found = network.outputs(random_pair_views(pixels[shown], training.views, generator))  # (B views, D)
            loss = loss_of(found, classes[shown])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            rates.step()
        tick()
    return {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}


def _rate(step: int, steps: int) -> float:
    """Share of the rate: up in a line, then down in a half cosine."""
    warm = max(1.0, WARM_UP * steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))
