"""Gradients that a value itself does not have: handed on from another tensor, or kept at the edge of a range."""

from typing import Any

import torch
from torch import Tensor


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, path: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0]


def straight_through(value: Tensor, path: Tensor) -> Tensor:
    """``value``, bit for bit, whose gradient is handed on as if it were ``path``'s.

    Source: Bengio et al. (2013). The usual ``path + (value - path).detach()`` rounds; here a magnitude of 0 must leave
    a pixel exactly as it is.

    Args:
        value: any shape; receives no gradient.
        path: the same shape; receives all of it.
    """
    result: Tensor = _StraightThrough.apply(value.detach(), path)
    return result


def clamp(images: Tensor) -> Tensor:
    """Values put into [0, 1], with a gradient wherever they lay in it, 0 and 1 themselves included.

    torch's own has none at the edges (2.14), where most of a sheet of paper is.
    """
    inside = (images >= 0) & (images <= 1)
    return straight_through(images.clamp(0, 1), images * inside)
