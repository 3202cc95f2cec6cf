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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from winnow.influence.book_gradients import Book
from winnow.influence.per_sample import gradient_products
from winnow.influence.trajectory import Run, Sgd, State, Trajectory, network_at, train
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


@dataclass(frozen=True)
class Reading:
    """What influence needs of a trajectory."""

    state: State  # at the end
    rates: list[float]  # a step each
    checkpoints: list[State]
    weights: Tensor  # (checkpoints, N) float64: how strongly a sample's gradient at the checkpoint moved the end


def reading_of(run: Run, trajectory: Trajectory) -> Reading:
    """The checkpoints with the coefficients of the steps that each stands for, summed by sample."""
    coefficients = step_coefficients(trajectory.rates, run.sgd)
    weights = np.zeros((len(trajectory.checkpoints), len(run.images)))
    for weight, checkpoint in zip(weights, trajectory.checkpoints, strict=True):
        for step in checkpoint.steps:
            members = trajectory.batches[step].numpy()
            weight[members] -= coefficients[step] / len(members)
    states = [checkpoint.state for checkpoint in trajectory.checkpoints]
    return Reading(trajectory.state, trajectory.rates, states, torch.from_numpy(weights))


def influence_by_replay(
    run: Run, reading: Reading, book: Book, columns: range, *, tick: Callable[[], None]
) -> npt.NDArray[np.floating]:
    """E_ij exactly as defined above, by repeating the run and taking every gradient at its own step.

    Args:
        run: the run; repeated step by step, so that only the last weights are kept.
        reading: of its trajectory.
        book: the label book.
        columns: n of its columns.
        tick: called once an epoch.

    Returns:
        (N, n) of the columns' type; a row of zeros for a sample outside ``run.members``.
    """
    gradients = book.gradients(network_at(run, reading.state), columns)
    coefficients = step_coefficients(reading.rates, run.sgd)
    effect = np.zeros((len(run.images), len(columns)), book.columns.dtype)

    def before_step(step: int, at: nn.Module, inputs: Tensor, batch: Tensor) -> None:
        labels = run.labels[batch.to(run.images.device)]
        products = gradient_products(at, inputs, labels, gradients).double().cpu().numpy()
        # A batch holds a sample once, so plain indexing adds every product.
        effect[batch.numpy()] -= coefficients[step] / len(batch) * products

    train(run, tick=tick, before_step=before_step)
    return effect


def influence_by_checkpoints(
    run: Run,
    reading: Reading,
    book: Book,
    rows: Tensor,
    *,
    batch: int,
    bfloat16: bool,
    tick: Callable[[], None],
) -> npt.NDArray[np.floating]:
    """E_ij with each gradient taken at its epoch group's checkpoint instead of its own step.

    The coefficients stay exact: those of the steps that held sample i are summed over the steps that a checkpoint
    stands for. A pass over the samples a checkpoint replaces one a step; gradients are taken on the images as they
    are, not on the training views.

    Args:
        run: the run.
        reading: of its trajectory.
        book: the label book.
        rows: (n,) samples that are valued, of ``run.members``.
        batch: samples at once. A part of the samples that starts at a multiple of it has the effects, to the last bit,
            that it has among all of them.
        bfloat16: multiply in half precision.
        tick: called once a checkpoint and block of columns.

    Returns:
        (n, M) of the columns' type, for M columns.

    Time O(n P M) a checkpoint; memory O(n M) and that of the gradients of a block of columns.
    """
    device = run.images.device
    effect = np.zeros((len(rows), len(book.columns)), book.columns.dtype)
    weights = reading.weights.numpy()[:, rows.numpy()]  # (checkpoints, n)
    with half_precision(device, wanted=bfloat16):
        for columns in book.columns.blocks:
            model = network_at(run, reading.state)
            gradients = book.gradients(model, columns)
            for state, weight in zip(reading.checkpoints, weights, strict=True):
                model.load_state_dict(state)
                for part in torch.arange(len(rows)).split(batch):
                    places = rows[part].to(device)
                    views = centre_views(run.images[places])
                    products = gradient_products(model, views, run.labels[places], gradients).double().cpu().numpy()
                    some = slice(int(part[0]), int(part[-1]) + 1)
                    effect[some, columns.start : columns.stop] += weight[some, None] * products
                tick()
    return effect
