"""Gradients of the label book's losses, one for each column of removal effects, in bounded memory."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from winnow.influence.columns import BookColumns
from winnow.influence.per_sample import mean_gradients, stacked_gradients
from winnow.training.network import centre_views

IMAGES = 64  # of the label book whose gradients are taken at once and added up


@dataclass(frozen=True)
class Book:
    """A label book on its device."""

    images: Tensor  # (M, C, H, W) uint8
    labels: Tensor  # (M,) int64
    columns: BookColumns

    def gradients(self, model: nn.Module, columns: range) -> list[Tensor]:
        """One (n, P_parameter) matrix per parameter, for n columns: of the loss of an image, or the mean of a class.

        Memory O(n P), whatever the images.
        """
        if not self.columns.by_class:
            part = slice(columns.start, columns.stop)
            return stacked_gradients(model, centre_views(self.images[part]), self.labels[part])
        rows = np.flatnonzero((self.columns.of >= columns.start) & (self.columns.of < columns.stop))
        groups = torch.from_numpy(self.columns.of[rows] - columns.start)
        parts = (
            (centre_views(self.images[some]), self.labels[some], group.to(self.images.device))
            for some, group in zip(
                torch.from_numpy(rows).to(self.images.device).split(IMAGES), groups.split(IMAGES), strict=True
            )
        )
        return mean_gradients(model, parts, groups=len(columns))
