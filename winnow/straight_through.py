"""A value forward and another tensor's gradient backward (Bengio et al. 2013)."""

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

    The usual ``path + (value - path).detach()`` rounds; here a magnitude of 0 must leave a pixel exactly as it is.

    Args:
        value: any shape; receives no gradient.
        path: the same shape; receives all of it.
    """
    result: Tensor = _StraightThrough.apply(value.detach(), path)
    return result
