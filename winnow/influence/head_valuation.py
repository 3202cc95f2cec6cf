"""Value every image by heads on a backbone's features, each without one fold: exact influence on those it learnt."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from winnow.influence.head import influence_on_head
from winnow.influence.valuation import Valued
from winnow.training.head import HeadProfile, train_head
from winnow.training.network import pick_device

Features = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def value_head(
    features: Features,
    labels: Indices,
    book: Features,
    book_labels: Indices,
    members: npt.NDArray[np.bool_],
    classes: int,
    profile: HeadProfile,
    seed: int,
    tick: Callable[[], None],
) -> Valued:
    """Train one head and value the images by it; a job for a worker.

    Args:
        features: (N, D), all train and val images.
        labels: (N,) class indices as they stand.
        book: (M, D), the label book.
        book_labels: (M,).
        members: (N,) the images to train on.
        classes: K.
        profile: of the run.
        seed: of the orders.
        tick: called once an epoch.
    """
    device = pick_device()
    curve: list[float] = []

    def after_epoch(_: object, loss: float) -> None:
        curve.append(loss)
        tick()

    given = torch.from_numpy(np.array(features)).to(device)
    head, run = train_head(
        given,
        torch.from_numpy(np.array(labels)).to(device),
        torch.from_numpy(np.flatnonzero(members)),
        classes=classes,
        profile=profile,
        seed=seed,
        after_epoch=after_epoch,
        record=True,
    )
    queried = torch.from_numpy(np.array(book)).to(device), torch.from_numpy(np.array(book_labels)).to(device)
    return Valued(influence_on_head(head, run, profile, *queried), np.asarray(members), curve)
