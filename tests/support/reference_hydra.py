"""HyDRA written out: the vector recursion of the paper, and its exact form with the Hessian.

Slow and memory-hungry on purpose: one network-sized vector for every training sample.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from winnow.influence.trajectory import Sgd

Loss = Callable[[Tensor, int], Tensor]  # (flat weights, sample) -> scalar


def hypergradients(
    weights: Tensor,
    loss: Loss,
    batches: Sequence[Sequence[int]],
    rates: Sequence[float],
    sgd: Sgd,
    *,
    samples: int,
    exact: bool,
) -> tuple[Tensor, Tensor]:
    """Final weights (P,) and h (N, P), the derivative of the final weights by each sample's epsilon."""
    buffer = torch.zeros_like(weights)
    h, m = (
        torch.zeros(samples, len(weights), dtype=weights.dtype),
        torch.zeros(samples, len(weights), dtype=weights.dtype),
    )
    for step, (batch, rate) in enumerate(zip(batches, rates, strict=True)):
        gradients = {i: torch.func.grad(loss)(weights, i) for i in batch}
        q = sgd.weight_decay * h
        for i in batch:
            q[i] += samples / len(batch) * gradients[i]
        if exact:
            hessian = sum(torch.autograd.functional.hessian(lambda w, i=i: loss(w, i), weights) for i in batch) / len(
                batch
            )
            q += h @ hessian
        mean = sum(gradients.values()) / len(batch) + sgd.weight_decay * weights
        first = step == 0
        m = q.clone() if first else sgd.momentum * m + (1 - sgd.dampening) * q
        buffer = mean if first else sgd.momentum * buffer + (1 - sgd.dampening) * mean
        h = h - rate * (q + sgd.momentum * m if sgd.nesterov else m)
        weights = weights - rate * (mean + sgd.momentum * buffer if sgd.nesterov else buffer)
    return weights, h


def trained_weights(
    weights: Tensor,
    loss: Loss,
    batches: Sequence[Sequence[int]],
    rates: Sequence[float],
    sgd: Sgd,
    *,
    samples: int,
    epsilon: Sequence[float],
) -> Tensor:
    """Final weights when sample i's loss weighs 1/N + epsilon_i in the objective: real training by torch's own SGD."""
    parameter = torch.nn.Parameter(weights.clone())
    optimiser = torch.optim.SGD(
        [parameter],
        lr=1.0,
        momentum=sgd.momentum,
        dampening=sgd.dampening,
        weight_decay=sgd.weight_decay,
        nesterov=sgd.nesterov,
    )
    for batch, rate in zip(batches, rates, strict=True):
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        total = sum(((1 + samples * epsilon[i]) * loss(parameter, i) for i in batch), torch.zeros(()))
        (total / len(batch)).backward()
        optimiser.step()
    return parameter.detach()
