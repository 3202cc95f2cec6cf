r"""HyDRA on a head, exactly: the derivative of each label-book loss along the whole run, curvature included.

The definition is that of ``winnow.influence.hydra``, with the Hessian of every batch, which the paper drops for deep
networks: of a linear softmax layer it is a product of small matrices. The derivatives are carried backwards through the
run (reverse mode), a block of columns at a time, so that memory does not grow with the images: with A the derivative
of a column's loss by an update's gradient, an image i of the update's batch of B gets

$$ E_{ij} \mathrel{-}= \tfrac{1}{B} \, r_i^\top A_j x_i, \qquad r_i = p_i - y_i. $$

Source: Chen et al. (AAAI 2021), exact mode; reverse mode as in Maclaurin et al. (ICML 2015). Differs from the lean form
in value by the curvature alone. Of many classes the lean form is taken (``winnow.influence.head_lean``).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from winnow.influence.columns import BookColumns
from winnow.training.head import Head, HeadProfile, Record

BLOCK = 64  # columns whose derivatives are carried back together, at most
BLOCK_VALUES = 2**24  # of their derivatives by the weights


@dataclass(frozen=True)
class BookFeatures:
    """A label book as a head takes it, on its device."""

    features: Tensor  # (M, D)
    labels: Tensor  # (M,) int64
    columns: BookColumns

    def residuals(self, head: Head) -> Tensor:
        """(M, K) probability minus target."""
        probability = (head.inputs(self.features) @ head.weight.T).softmax(dim=1)
        return probability - functional.one_hot(self.labels, len(head.weight))

    def gradients(self, head: Head, columns: range) -> Tensor:
        """(n, K, D + 1) derivatives by the weights, for n columns: of the loss of an image, or the mean of a class."""
        if not self.columns.by_class:
            part = slice(columns.start, columns.stop)
            some = BookFeatures(self.features[part], self.labels[part], self.columns)
            return some.residuals(head)[:, :, None] * head.inputs(some.features)[:, None, :]
        residuals, of = self.residuals(head), torch.from_numpy(self.columns.of).to(self.labels.device)
        means = []
        for column in columns:
            rows = torch.nonzero(of == column).flatten()
            means.append(residuals[rows].T @ head.inputs(self.features[rows]) / len(rows))
        return torch.stack(means)


def influence_on_head(head: Head, run: Record, profile: HeadProfile, book: BookFeatures) -> npt.NDArray[np.floating]:
    """(N, M) removal effects E_ij of M columns; a row of zeros for an image that the run was not trained on.

    Args:
        head: at the end of the run.
        run: recorded.
        profile: of the run.
        book: the label book.

    Time O(T B M K D) for T updates of B images, memory O(BLOCK_VALUES + BLOCK K D + N M).
    """
    block = max(1, min(BLOCK, BLOCK_VALUES // head.weight.numel()))
    effect = np.empty((len(run.features), len(book.columns)), book.columns.dtype)
    for start in range(0, len(book.columns), block):
        columns = range(start, min(start + block, len(book.columns)))
        effect[:, columns.start : columns.stop] = _influence_on_some(head, run, profile, book, columns).cpu().numpy()
    return effect


@torch.no_grad()
def _influence_on_some(head: Head, run: Record, profile: HeadProfile, book: BookFeatures, columns: range) -> Tensor:
    by_weights = book.gradients(head, columns)  # (M, K, D + 1): derivative of each loss by the weights
    by_buffer = torch.zeros_like(by_weights)
    effect = by_weights.new_zeros(len(run.features), len(columns))
    for batch, residual, rate in zip(*(reversed(one) for one in (run.batches, run.residuals, run.rates)), strict=True):
        rows = batch.to(run.features.device)
        inputs = head.inputs(run.features[rows])  # (B, D + 1)
        by_gradient = by_buffer - rate * by_weights  # (M, K, D + 1)
        moved = torch.einsum("bd,mkd->bmk", inputs, by_gradient)  # (B, M, K)
        effect[rows] -= torch.einsum("bk,bmk->bm", residual, moved) / len(rows)
        probability = (residual + _targets(residual)).clamp(min=0)  # (B, K)
        curved = probability[:, None] * (moved - (probability[:, None] * moved).sum(dim=2, keepdim=True))  # (B, M, K)
        by_weights += torch.einsum("bmk,bd->mkd", curved, inputs) / len(rows) + run.decay * by_gradient
        by_buffer = profile.momentum * by_gradient
    return effect


def _targets(residual: Tensor) -> Tensor:
    """(B, K) one-hot targets: of a residual p - y, only the target's entry is not positive."""
    return functional.one_hot(residual.argmin(dim=1), residual.shape[1]).to(residual.dtype)
