"""Out of fold with a backbone: neighbours in its features, and probabilities by heads or networks without the fold.

The backbone was trained on none of the labels, so that every source image may be a neighbour; only the classifiers
leave folds out.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from winnow.backbone.card import Card
from winnow.backbone.loading import finetunable
from winnow.model.learner import Squares, WholeLearner
from winnow.representation.neighbours import nearest_of_all
from winnow.representation.out_of_fold import AT_ONCE, NO_FOLD, in_blocks, mean_of_known, sides
from winnow.representation.predictions import Indices, Neighbours, Points
from winnow.training.head import Head, HeadProfile, train_head
from winnow.training.network import pick_device
from winnow.training.training import EVALUATION_BATCH, Labelled

DIMENSIONS = 64  # of the embedding that is written: the rest of the variance is noise to look at
TOGETHER = 64  # images of a group up to which every image is searched past its whole group at once
VALUES = 2**23  # neighbours held at once of images that are searched past a larger one
LEARNED = 20_000  # images of which the principal components are found at most


def train_head_state(
    features: Points,
    labels: Indices,
    members: npt.NDArray[np.bool_],
    profile: HeadProfile,
    classes: int,
    seed: int,
    tick: Callable[[], None],
) -> dict[str, Tensor]:
    """The state of a head trained on some of the images; a job for a worker."""
    device = pick_device()
    head, _ = train_head(
        torch.from_numpy(features if features.flags.writeable else np.array(features)).to(device),
        torch.from_numpy(np.array(labels)).to(device),
        torch.from_numpy(np.flatnonzero(members)),
        classes=classes,
        profile=profile,
        seed=seed,
        after_epoch=lambda head, loss: tick(),
    )
    return {name: tensor.detach().cpu().contiguous() for name, tensor in head.state_dict().items()}


def train_whole_state(
    images: npt.NDArray[np.uint8],
    labels: Indices,
    members: npt.NDArray[np.bool_],
    book: npt.NDArray[np.bool_],
    learner: WholeLearner,
    classes: int,
    seed: int,
    tick: Callable[[], None],
) -> dict[str, Tensor]:
    """The state of a whole network trained on some of the images; the label book chooses its epoch.

    Args:
        images: (N, S, S, C).
        labels: (N,).
        members: (N,) trained on, with the label book.
        book: (N,) the label book.
        learner: how.
        classes: K.
        seed: of the head and the orders.
        tick: called once an epoch.
    """
    trained, validation = (Labelled(images[rows], labels[rows]) for rows in (members & ~book, book))
    model = learner.train(trained, validation, classes=classes, seed=seed, tick=tick).model
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def head_of(state: Mapping[str, Tensor]) -> Head:
    """A head with this state."""
    classes, inputs = state["weight"].shape
    head = Head(inputs - 1, classes)
    head.load_state_dict(dict(state))
    return head.eval()


def neighbours_in_features(unit: Points, roots: Indices, groups: Indices, *, k: int) -> Neighbours:
    """The nearest source images of every image, outside its own group of near-duplicates.

    Args:
        unit: (N, D) rows of unit length.
        roots: (N,) row of the source image that each was made from.
        groups: (N,) equal for images that belong together.
        k: neighbours; fewer where fewer are left.
    """
    source = np.flatnonzero(roots == np.arange(len(roots)))
    most = len(source) - 1
    largest = int(np.unique(groups[source], return_counts=True)[1].max())
    found, far = np.empty((len(unit), min(k, most)), np.int64), np.empty((len(unit), min(k, most)), np.float32)

    def search(rows: Indices, asked: int) -> None:
        [(index, distance)] = nearest_of_all([(unit, rows, source)], asked)
        for start in range(0, len(rows), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            is_own = groups[index[part]] == groups[rows[part], None]
            own_last = np.argsort(is_own, axis=1, kind="stable")[:, :k]
            found[rows[part]] = np.take_along_axis(index[part], own_last, 1)
            far[rows[part]] = np.take_along_axis(distance[part], own_last, 1)

    search(np.arange(len(unit)), min(k + min(largest, TOGETHER), most))
    if largest > TOGETHER:  # asked for all of a large group besides, every image would need its memory
        short = np.flatnonzero((groups[found] == groups[:, None]).any(axis=1))
        for part in np.array_split(short, math.ceil(len(short) * largest / VALUES)) if len(short) else ():
            search(part, min(k + largest, most))
    return Neighbours(found[None], far[None])


def embedding(features: Points) -> Points:
    """(N, at most DIMENSIONS) rows of unit length: the principal components, of a sample of more than ``LEARNED``."""
    most = min(DIMENSIONS, *features.shape)
    components = PCA(most, svd_solver="full")
    if len(features) <= LEARNED:
        found = components.fit_transform(features.astype(np.float64))
    else:
        chosen = np.sort(np.random.default_rng(0).choice(len(features), LEARNED, replace=False))
        components.fit(features[chosen].astype(np.float64))
        parts = (features[start : start + AT_ONCE] for start in range(0, len(features), AT_ONCE))
        found = np.concatenate([components.transform(part.astype(np.float64)) for part in parts])
    length = np.linalg.norm(found, axis=1, keepdims=True)
    points: Points = (found / np.where(length > 0, length, 1)).astype(np.float32)
    return points


def out_of_fold(
    given: npt.NDArray[np.generic],
    labels: Indices,
    roots: Indices,
    folds: Indices,
    states: Sequence[Sequence[Mapping[str, Tensor]]],
    card: Card,
    user_folder: Path,
    taught: npt.NDArray[np.bool_] | None = None,
) -> Points:
    """(N, K) probability of each class by classifiers that were not trained on the image, mean over the repeats.

    NaN for a class that none of these classifiers was trained on.

    Args:
        given: (N, D) features, or (N, S, S, C) pixels where the backbone is not frozen.
        labels: (N,).
        roots: (N,) row of the source image that each was made from.
        folds: (R, N) fold by repeat; an image of NO_FOLD is judged by the first classifier.
        states: by repeat and fold, of the classifier that left this fold out.
        card: of the model.
        user_folder: models/user.
        taught: (N,) images that classifiers learned from, except the one of their fold; None: the source images. Whole
            networks learn from none of the label book, which chooses their epoch.
    """
    learned = (roots == np.arange(len(roots)) if taught is None else taught) & (card.frozen | (folds[0] != NO_FOLD))
    jobs, queried = [], []
    for row, by_fold in zip(folds, states, strict=True):
        for fold, state in enumerate(by_fold):
            asked, trained_on = sides(row, fold, learned)
            jobs.append((asked, state, card, user_folder))
            queried.append((asked, labels[trained_on]))
    return mean_of_known(in_blocks(probabilities, given, jobs, label="classify: folds"), queried, len(given))


def probabilities(
    given: npt.NDArray[np.generic],
    rows: Indices,
    state: Mapping[str, Tensor],
    card: Card,
    user_folder: Path,
    tick: Callable[[], None],
) -> Points:
    """(len(rows), K) of some of the images; a job for a worker."""
    if card.frozen:
        found = head_of(state).probabilities(given[rows].astype(np.float32))
    else:
        found = _by_network(given[rows].astype(np.uint8), state, card, user_folder)
    tick()
    return found.astype(np.float32)


@torch.inference_mode()
def _by_network(
    pixels: npt.NDArray[np.uint8], state: Mapping[str, Tensor], card: Card, user_folder: Path
) -> npt.NDArray[np.float64]:
    device = pick_device()
    model = finetunable(card, len(state["head.bias"]), torch.Generator().manual_seed(0), user_folder=user_folder)
    model.load_state_dict(dict(state))
    model.to(device).eval()
    squares = Squares(card, Labelled(pixels, np.zeros(len(pixels), np.int64)), device)
    starts = range(0, len(pixels), EVALUATION_BATCH)
    parts = [model(squares.pick(slice(start, start + EVALUATION_BATCH))[0]) for start in starts]
    return torch.cat(parts).double().softmax(dim=1).cpu().numpy()
