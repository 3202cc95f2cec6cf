r"""HyDRA on a head in its Hessian-free form, in closed form: what is left of exact influence when classes are many.

Exact influence carries a derivative of K x D values back for every column, so that its time grows with the square of
the classes. Without the curvature, as ``winnow.influence.hydra`` has it for whole networks, the coefficients c_t of the
updates are known before the run, and the gradient of a label-book loss is an outer product. With r = p - y, and x what
the head reads,

$$ R_i = \sum_t \frac{c_t}{B_t} [i \in b_t] \, r_i(t), \qquad E_{ij} = -(R_i^\top r_j)(x_i^\top x_j), $$

and the effect on a class is the mean over its label-book images. R is summed while the head is trained: nothing else
is kept of the run.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from winnow.influence.head import BookFeatures
from winnow.influence.hydra import step_coefficients
from winnow.influence.trajectory import Sgd
from winnow.training.head import Head, HeadProfile

ROWS = 1024  # images whose products with the label book are held together


class Moved:
    """R, the sum over a run of an image's residuals by how strongly each still moves the last weights."""

    def __init__(self, members: Tensor, profile: HeadProfile, classes: int, features: Tensor) -> None:
        """Before the run.

        Args:
            members: rows trained on, n of them, on the CPU.
            profile: of the run.
            classes: K.
            features: (N, D) whose type and device the sums have.
        """
        steps = profile.epochs_on(len(members)) * math.ceil(len(members) / profile.batch)
        rates = [profile.rate(step, steps) for step in range(steps)]
        sgd = Sgd(
            profile.learning_rate, profile.momentum, 0.0, profile.ridge / len(members), nesterov=False, cosine=True
        )
        self.coefficients = iter(step_coefficients(rates, sgd).tolist())
        self.place = torch.full((len(features),), -1)
        self.place[members] = torch.arange(len(members))
        self.sums = features.new_zeros(len(members), classes)  # (n, K)

    def add(self, batch: Tensor, residual: Tensor) -> None:
        """Take the next update: its rows and their (B, K) residuals."""
        rows = self.place[batch].to(self.sums.device)
        self.sums[rows] += next(self.coefficients) / len(batch) * residual


@torch.no_grad()
def lean_influence_on_head(
    head: Head, features: Tensor, members: Tensor, moved: Moved, book: BookFeatures
) -> npt.NDArray[np.floating]:
    """(n, M) removal effects of the members on M columns.

    Args:
        head: at the end of the run.
        features: (N, D).
        members: n of its rows.
        moved: of the run.
        book: the label book, m images.

    Time O(n m (K + D)), memory O(n M + m (K + D) + ROWS m).
    """
    residuals, inputs = book.residuals(head), head.inputs(book.features)  # (m, K), (m, D + 1)
    of = torch.from_numpy(book.columns.of).to(residuals.device)
    counts = torch.bincount(of, minlength=len(book.columns))
    effect = np.empty((len(members), len(book.columns)), book.columns.dtype)
    for part in torch.arange(len(members)).split(ROWS):
        at = head.inputs(features[members[part].to(features.device)])
        products = (moved.sums[part.to(residuals.device)] @ residuals.T) * (at @ inputs.T)  # (n, m)
        sums = products.new_zeros(len(part), len(book.columns)).index_add_(1, of, products)
        effect[part.numpy()] = (-sums / counts).cpu().numpy()
    return effect
