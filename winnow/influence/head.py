r"""HyDRA on a head, exactly: the derivative of each label-book loss along the whole run, curvature included.

The definition is that of ``winnow.influence.hydra``, with the Hessian of every batch, which the paper drops for deep
networks: of a linear softmax layer it is a product of small matrices. The derivatives are carried backwards through the
run (reverse mode), M at a time, one for each label-book image, so that memory does not grow with the images: with A the
derivative of a loss by an update's gradient, an image i of the update's batch of B gets

$$ E_{ij} \mathrel{-}= \tfrac{1}{B} \, r_i^\top A_j x_i, \qquad r_i = p_i - y_i. $$

Source: Chen et al. (AAAI 2021), exact mode; reverse mode as in Maclaurin et al. (ICML 2015). Differs from the lean form
in value by the curvature alone.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from winnow.training.head import Head, HeadProfile, Record

Array = npt.NDArray[np.float64]


BLOCK = 64  # label-book images whose derivatives are carried back together


def influence_on_head(head: Head, run: Record, profile: HeadProfile, book: Tensor, book_labels: Tensor) -> Array:
    """(N, M) removal effects E_ij; a row of zeros for an image that the run was not trained on.

    Args:
        head: at the end of the run.
        run: recorded.
        profile: of the run.
        book: (M, D) features of the label book.
        book_labels: (M,) int64.

    Time O(T B M K D) for T updates of B images, memory O(BLOCK K D + N M).
    """
    parts = [
        _influence_on_some(head, run, profile, *some)
        for some in zip(torch.split(book, BLOCK), torch.split(book_labels, BLOCK), strict=True)
    ]
    return np.concatenate(parts, axis=1)


@torch.no_grad()
def _influence_on_some(head: Head, run: Record, profile: HeadProfile, book: Tensor, book_labels: Tensor) -> Array:
    classes, inputs = len(head.weight), run.inputs
    at_book = head.inputs(book)  # (M, D + 1)
    final = (at_book @ head.weight.T).softmax(dim=1) - functional.one_hot(book_labels, classes)  # (M, K)
    by_weights = final[:, :, None] * at_book[:, None, :]  # (M, K, D + 1): derivative of each loss by the weights
    by_buffer = torch.zeros_like(by_weights)
    effect = torch.zeros(len(inputs), len(book), dtype=inputs.dtype, device=inputs.device)
    for batch, residual, rate in zip(*(reversed(one) for one in (run.batches, run.residuals, run.rates)), strict=True):
        rows = batch.to(inputs.device)
        by_gradient = by_buffer - rate * by_weights  # (M, K, D + 1)
        moved = torch.einsum("bd,mkd->bmk", inputs[rows], by_gradient)  # (B, M, K)
        effect[rows] -= torch.einsum("bk,bmk->bm", residual, moved) / len(rows)
        probability = (residual + _targets(residual)).clamp(min=0)  # (B, K)
        curved = probability[:, None] * (moved - (probability[:, None] * moved).sum(dim=2, keepdim=True))  # (B, M, K)
        by_weights += torch.einsum("bmk,bd->mkd", curved, inputs[rows]) / len(rows) + run.decay * by_gradient
        by_buffer = profile.momentum * by_gradient
    return effect.double().cpu().numpy()


def _targets(residual: Tensor) -> Tensor:
    """(B, K) one-hot targets: of a residual p - y, only the target's entry is not positive."""
    return functional.one_hot(residual.argmin(dim=1), residual.shape[1]).to(residual.dtype)
