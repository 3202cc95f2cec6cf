r"""HyDRA: what removing a training sample would do to the loss of a label-book sample, along one SGD run.

Source: Chen et al., "HyDRA: Hypergradient Data Relevance Analysis for Interpreting Deep Neural Networks" (AAAI 2021),
Hessian-free form. With training objective $(1/N) \sum_i l_i + \sum_i \epsilon_i l_i$ at $\epsilon = 0$ and
$h_i = d\theta_T / d\epsilon_i$, the removal effect on label-book sample j is

$$ E_{ij} = -\frac{1}{N} \langle \nabla l_j(\theta_T), h_i \rangle $$

E < 0: removing i lowers the loss on j, so i is harmful.

Differs from the paper in form, not in value: h_i is linear in the sample's gradients with coefficients that do not
depend on the sample, so one backward sweep over the step sizes gives the coefficients c_t, and

$$ E_{ij} = -\sum_t \frac{c_t}{B_t} [i \in b_t] \langle \nabla l_i(\theta_{t-1}), \nabla l_j(\theta_T) \rangle $$

needs memory for the scores only, not N copies of the network.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from winnow.influence.per_sample import gradient_products, stacked_gradients
from winnow.influence.trajectory import Run, Sgd, Trajectory, train
from winnow.training.network import centre_views, half_precision

Array = npt.NDArray[np.float64]


def step_coefficients(rates: Sequence[float], sgd: Sgd) -> Array:
    """c_t: how strongly the gradient of step t still moves the final weights.

    Args:
        rates: (T,) learning rate of each step.
        sgd: momentum, dampening, coupled weight decay, Nesterov.

    Returns:
        (T,) float64, negative for plain SGD, where it is -rate times the later steps' decay.
    """
    coefficients = np.zeros(len(rates))
    weights, buffer = 1.0, 0.0  # d theta_T / d (weights, momentum buffer) after step t
    for step in range(len(rates) - 1, -1, -1):
        rate = rates[step]
        through_buffer = buffer - rate * weights * (sgd.momentum if sgd.nesterov else 1.0)
        kept = 1.0 if step == 0 else 1.0 - sgd.dampening  # the first step fills the buffer undamped
        coefficients[step] = kept * through_buffer - (rate * weights if sgd.nesterov else 0.0)
        weights += sgd.weight_decay * coefficients[step]
        buffer = sgd.momentum * through_buffer
    return coefficients


def influence_by_replay(
    run: Run, final: Trajectory, book: Tensor, book_labels: Tensor, *, tick: Callable[[], None]
) -> Array:
    """E_ij exactly as defined above, by repeating the run and taking every gradient at its own step.

    Args:
        run: the run; repeated step by step, so that only the last weights are kept.
        final: its trajectory.
        book: (M, C, H, W) label-book pixels as ``Run.images``.
        book_labels: (M,) int64.
        tick: called once an epoch.

    Returns:
        (N, M) float64; a row of zeros for a sample outside ``run.members``.
    """
    model = final.model(run)
    stacked = stacked_gradients(model, centre_views(book), book_labels)
    coefficients = step_coefficients(final.rates, run.sgd)
    effect = np.zeros((len(run.images), len(book)))

    def before_step(step: int, at: nn.Module, inputs: Tensor, batch: Tensor) -> None:
        labels = run.labels[batch.to(run.images.device)]
        products = gradient_products(at, inputs, labels, stacked).double().cpu().numpy()
        # A batch holds a sample once, so plain indexing adds every product.
        effect[batch.numpy()] -= coefficients[step] / len(batch) * products

    train(run, tick=tick, before_step=before_step)
    return effect


def influence_by_checkpoints(
    run: Run, final: Trajectory, book: Tensor, book_labels: Tensor, *, batch: int, bfloat16: bool
) -> Array:
    """E_ij with each gradient taken at its epoch group's checkpoint instead of its own step.

    The coefficients stay exact: those of the steps that held sample i are summed over the steps that a checkpoint
    stands for. A pass over the samples a checkpoint replaces one a step; gradients are taken on the images as they
    are, not on the training views.

    Args and returns: as ``influence_by_replay``; ``batch`` images at once; ``bfloat16`` multiplies in half precision.
    """
    with half_precision(run.images.device, wanted=bfloat16):
        model = final.model(run)
        stacked = stacked_gradients(model, centre_views(book), book_labels)
        coefficients = step_coefficients(final.rates, run.sgd)
        effect = np.zeros((len(run.images), len(book)))
        for checkpoint in final.checkpoints:
            weight = np.zeros(len(run.images))
            for step in checkpoint.steps:
                members = final.batches[step].numpy()
                weight[members] -= coefficients[step] / len(members)
            model.load_state_dict(checkpoint.state)
            for rows in torch.split(run.members, batch):
                on_device = rows.to(run.images.device)
                views = centre_views(run.images[on_device])
                products = gradient_products(model, views, run.labels[on_device], stacked).double().cpu().numpy()
                effect[rows.numpy()] += weight[rows.numpy(), None] * products
    return effect
