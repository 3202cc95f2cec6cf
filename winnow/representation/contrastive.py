r"""Supervised contrastive training: images of a class are pulled together, those of others pushed away.

Margin loss over the Euclidean distance of unit vectors, the method's own, in the form of pytorch-metric-learning:

$$ \overline{[y_i = y_j] \, d_{ij}} + \overline{[y_i \ne y_j] \, \max(0, m - d_{ij})} $$

or SupCon (Khosla et al. 2020, eq. 2), from the same library. Source of the first: Hadsell et al. (2006), eq. 4.
Differs: distances are not squared, and each mean runs over the pairs whose loss is not yet 0.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss, SupConLoss
from torch import Tensor, nn
from torch.nn import functional

from winnow.pipeline.fields import AtLeastTwo, Rate, section
from winnow.representation.network import Encoder, Pixels, Training, train_on_views

PAIR = 2  # views of each image in a step


@section
class Contrast:
    """How to train an encoder."""

    loss: Literal["margin", "supcon"]  # margin: the method's
    margin: Annotated[float, Field(gt=0, le=2)]  # of the margin loss: distance that other classes are pushed to
    temperature: Rate  # of supcon
    dimensions: AtLeastTwo  # D, at least the plane's two
    training: Training


def contrastive_loss(contrast: Contrast) -> nn.Module:
    """The loss that ``contrast`` names; called with (B, D) embeddings and (B,) labels."""
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
    """Weights of an encoder trained on some of the images; arguments as in ``train_on_views``."""
    loss = contrastive_loss(contrast)
    return train_on_views(
        images,
        labels,
        members,
        contrast.training,
        lambda found, classes: loss(functional.normalize(found, dim=1), classes),
        outputs=contrast.dimensions,
        views=PAIR,
        seed=seed,
        tick=tick,
    )


@torch.inference_mode()
def embed(images: Pixels, network: Encoder, *, by_features: bool = False, batch: int = 256) -> npt.NDArray[np.float32]:
    """(N, D) unit vectors of the images as they are, in evaluation mode and float32.

    Args:
        images: (N, H, W, C).
        network: an encoder, or a classifier.
        by_features: take what the last layer reads, not what it gives.
        batch: images at once.
    """
    device = next(network.parameters()).device
    network.eval()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    found = network.features if by_features else network.outputs
    parts = [
        functional.normalize(found(part.to(device).float() / 255).float(), dim=1).cpu()
        for part in torch.split(pixels, batch)
    ]
    return torch.cat(parts).numpy()
