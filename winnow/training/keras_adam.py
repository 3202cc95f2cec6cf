"""Keras's Adam by PyTorch's."""

import math

import torch

ADAM_BETAS = (0.9, 0.999)

ADAM_EPSILON = 1e-7  # Keras's; PyTorch's own default is 1e-8


def set_update(optimiser: torch.optim.Adam, *, rate: float, step: int) -> None:
    """Rate and epsilon of update ``step``, counted from 0.

    Keras adds its epsilon before the bias correction of the second moment and PyTorch after it, so Keras's constant
    is a larger one here while the correction lasts (Kingma & Ba 2015, the remark below algorithm 1).
    """
    for group in optimiser.param_groups:
        group["lr"] = rate
        group["eps"] = ADAM_EPSILON / math.sqrt(1 - ADAM_BETAS[1] ** (step + 1))
