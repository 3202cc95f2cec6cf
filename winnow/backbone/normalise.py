"""Squares as a network takes them."""

import torch
from torch import Tensor

from winnow.backbone.card import Card


def normalised(pixels: Tensor, card: Card) -> Tensor:
    """Squares as the network takes them: in [0, 1], minus the mean, over the standard deviation; grey in 3 channels.

    Args:
        pixels: (N, S, S, C) uint8 with 1 or 3 channels.
        card: with mean and standard deviation.

    Returns:
        (N, 3, S, S) float32 on the pixels' device, channels last in memory.
    """
    colour = pixels.permute(0, 3, 1, 2).expand(-1, 3, -1, -1).float()  # (N, 3, S, S)
    mean, std = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (card.mean, card.std))
    return ((colour / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
