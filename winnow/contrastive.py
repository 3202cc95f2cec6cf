r"""Supervised contrastive training: images of a class are pulled together, those of others pushed away.

Margin loss over the Euclidean distance of unit vectors, the method's own, in the form of pytorch-metric-learning:

$$ \overline{[y_i = y_j] \, d_{ij}} + \overline{[y_i \ne y_j] \, \max(0, m - d_{ij})} $$

or SupCon (Khosla et al. 2020, eq. 2), from the same library. Source of the first: Hadsell et al. (2006), eq. 4.
Differs: distances are not squared, and each mean runs over the pairs whose loss is not yet 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss, SupConLoss
from torch import Tensor, nn

from winnow.encoder import Encoder
from winnow.network import half_precision, pick_device
from winnow.pair_views import PairViews, random_pair_views

LOSSES = ("margin", "supcon")
BETAS = (0.9, 0.99)
WARM_UP = 0.1  # share of the steps over which the rate rises from 0; it falls to 0 over the others

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Contrast:
    """How to train an encoder."""

    loss: str  # margin (the method's) or supcon
    margin: float  # of the margin loss: distance that other classes are pushed to, at most 2
    temperature: float  # of supcon
    dimensions: int  # D
    epochs: int
    batch: int  # images a step, each in two views
    learning_rate: float
    weight_decay: float
    views: PairViews

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {self.loss}")
        for name in ("dimensions", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, top in (("margin", 2.0), ("temperature", math.inf), ("learning_rate", math.inf)):
            if not 0 < getattr(self, name) <= top:
                raise ValueError(f"{name} must be above 0 and at most {top}, got {getattr(self, name)}")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay}")


def contrastive_loss(contrast: Contrast) -> nn.Module:
    """The loss asked for; called with (B, D) embeddings and (B,) labels."""
    loss: nn.Module = (
        SupConLoss(temperature=contrast.temperature)
        if contrast.loss == "supcon"
        else ContrastiveLoss(pos_margin=0, neg_margin=contrast.margin, distance=LpDistance())
    )
    return loss


def train_encoder(
    images: Pixels,
    labels: npt.NDArray[np.int64],
    members: npt.NDArray[np.bool_],
    contrast: Contrast,
    seed: int,
    tick: Callable[[], None],
) -> dict[str, Tensor]:
    """Weights of an encoder trained on some of the images.

    Args:
        images: (N, H, W, C).
        labels: (N,) class indices.
        members: (N,) the images trained on; the encoder sees neither pixels nor label of any other.
        contrast: how.
        seed: of weights, order and views.
        tick: called once an epoch.

    Returns:
        The state of the encoder on the CPU.
    """
    generator, device = torch.Generator().manual_seed(seed), pick_device()
    encoder = Encoder(contrast.dimensions, generator).to(device).train()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(device)  # (N, C, H, W)
    classes, rows = torch.tensor(labels, device=device), torch.from_numpy(np.flatnonzero(members))
    loss_of = contrastive_loss(contrast)
    optimiser = torch.optim.AdamW(
        encoder.parameters(), lr=contrast.learning_rate, betas=BETAS, weight_decay=contrast.weight_decay, fused=True
    )
    batches = max(1, len(rows) // contrast.batch)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, batches * contrast.epochs))
    for _ in range(contrast.epochs):
        order = rows[torch.randperm(len(rows), generator=generator)].to(device)
        for batch in torch.tensor_split(order, batches):
            twice = torch.cat([batch, batch])  # (2B,)
            with half_precision(device, wanted=True):
                embedded = encoder(random_pair_views(pixels[twice], contrast.views, generator))  # (2B, D)
            loss = loss_of(embedded, classes[twice])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            rates.step()
        tick()
    return {name: tensor.cpu().contiguous() for name, tensor in encoder.state_dict().items()}


def _rate(step: int, steps: int) -> float:
    """Share of the rate: up in a line, then down in a half cosine."""
    warm = max(1.0, WARM_UP * steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))


@torch.inference_mode()
def embed(images: Pixels, encoder: Encoder, *, batch: int = 256) -> npt.NDArray[np.float32]:
    """(N, D) unit vectors of the images as they are, in evaluation mode and float32."""
    device = next(encoder.parameters()).device
    encoder.eval()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    parts = [encoder(part.to(device).float() / 255).cpu() for part in torch.split(pixels, batch)]
    return torch.cat(parts).numpy()
