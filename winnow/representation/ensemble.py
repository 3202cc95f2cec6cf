"""The ensemble: classifiers that each leave one fold of the images out, which they alone judge.

Folds are dealt anew for every repeat. A wrong label seen in training would be learnt by heart, and not be found.
Classifiers are networks at the working size in the competition, else heads on the backbone's features or, where it is
not frozen, the whole network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from torch import Tensor

from winnow.backbone.card import Card
from winnow.dataset.folds import deal_folds
from winnow.dataset.samples import column, label_indices
from winnow.engine.jobs import run_jobs
from winnow.model.learner import WholeLearner
from winnow.pipeline.fields import AtLeastTwo, Count, Few, Seed, section
from winnow.pipeline.messages import UserError
from winnow.representation.classifier import train_classifier
from winnow.representation.heads import out_of_fold, train_head_state, train_whole_state
from winnow.representation.network import Training
from winnow.representation.out_of_fold import NO_FOLD, held_out_probabilities
from winnow.representation.predictions import Indices, Points
from winnow.training.head import HeadProfile
from winnow.training.training import Profile

Mask = npt.NDArray[np.bool_]


@section
class Ensemble:
    """Section `ensemble`."""

    seed: Seed
    folds: AtLeastTwo  # for each, a classifier is trained on all the others and the label book
    repeats: Few  # how often the images are dealt into folds anew
    junk: Count  # images of planted junk, by which thresholds are set
    network: Training  # in the competition


@dataclass(frozen=True)
class Learning:
    """How classifiers learn, whatever the model."""

    card: Card
    user: Path  # models/user
    network: Training
    head: HeadProfile
    finetune: Profile


@dataclass(frozen=True)
class Member:
    """A classifier to be trained."""

    members: Mask  # (N,) images that it learns from
    seed: int  # of weights, order and views


def deal_source(source: pa.Table, ensemble: Ensemble, rng: np.random.Generator, dataset: Path) -> Indices:
    """(R, N) fold of each source image by repeat; NO_FOLD for the label book.

    Args:
        source: N source images of train, val and the label book.
        ensemble: folds and repeats.
        rng: of the order.
        dataset: for the message.

    Raises:
        UserError: there are fewer than two images a fold.
    """
    suspects = column(source, "split") != "label_book"
    if suspects.sum() < 2 * ensemble.folds:
        raise UserError(
            f"{dataset} has {suspects.sum()} train and val images, {ensemble.folds} folds need {2 * ensemble.folds}"
        )
    groups = column(source, "group")[suspects].tolist()
    dealt = np.full((ensemble.repeats, len(source)), NO_FOLD)
    for row in dealt:
        row[suspects] = deal_folds(label_indices(source)[suspects], groups, folds=ensemble.folds, rng=rng)
    return dealt


def members_of(dealt: Indices, ensemble: Ensemble, rng: np.random.Generator) -> list[Member]:
    """Every classifier of the ensemble, by repeat and fold.

    Args:
        dealt: (R, N) folds.
        ensemble: how many folds.
        rng: of the seeds.
    """
    return [Member(row != fold, int(rng.integers(2**31))) for row in dealt for fold in range(ensemble.folds)]


def by_repeat(states: Sequence[dict[str, Tensor]], ensemble: Ensemble) -> list[list[dict[str, Tensor]]]:
    """The states of ``members_of`` by repeat and fold."""
    return [list(states[start : start + ensemble.folds]) for start in range(0, len(states), ensemble.folds)]


def train_members(
    given: npt.NDArray[np.generic],
    labels: Indices,
    book: Mask,
    members: Sequence[Member],
    classes: int,
    learning: Learning,
) -> list[dict[str, Tensor]]:
    """The states of classifiers, in the order of ``members``.

    Args:
        given: (N, H, W, C) pixels, or (N, D) features of a frozen backbone.
        labels: (N,).
        book: (N,) the label book, which chooses the epoch of a whole network.
        members: what each learns from.
        classes: K.
        learning: how.
    """
    if learning.card.competition:
        return run_jobs(
            train_classifier,
            [(given, labels, one.members, learning.network, classes, one.seed) for one in members],
            steps=sum(learning.network.epochs_on(int(one.members.sum())) for one in members),
            label="classifiers: epochs",
        )
    if learning.card.frozen:
        return run_jobs(
            train_head_state,
            [(given, labels, one.members, learning.head, classes, one.seed) for one in members],
            steps=sum(learning.head.epochs_on(int(one.members.sum())) for one in members),
            label="heads: epochs",
        )
    learner = WholeLearner(learning.finetune, learning.card, learning.user)
    return run_jobs(
        train_whole_state,
        [(given, labels, one.members, book, learner, classes, one.seed) for one in members],
        steps=sum(learner.epochs_on(int((one.members & ~book).sum())) for one in members),
        label="networks: epochs",
    )


def judge_out_of_fold(
    given: npt.NDArray[np.generic],
    labels: Indices,
    roots: Indices,
    folds: Indices,
    states: Sequence[Sequence[dict[str, Tensor]]],
    learning: tuple[Card, Path],
    taught: Mask,
) -> Points:
    """(N, K) probabilities by classifiers that were not trained on the image; NaN for a class unknown to all of them.

    Args:
        given: as classifiers were trained on.
        labels: (N,).
        roots: (N,) row of the source image that each was made from; its own for a source image.
        folds: (R, N) fold by repeat, a copy's its root's.
        states: by repeat and fold, of the classifier that left this fold out.
        learning: the model's card, and models/user.
        taught: (N,) images that classifiers learned from, except the one of their fold.
    """
    card, user = learning
    if card.competition:
        pixels = given.astype(np.uint8, copy=False)
        return held_out_probabilities(pixels, labels, roots, folds, states, taught=taught)
    return out_of_fold(given, labels, roots, folds, states, card, user, taught)
