"""Out of fold: the encoder that embeds an image was trained on neither the image nor its label.

Source images are dealt into folds, once per repeat; for each fold, an encoder is trained on all other folds and the
label book. It embeds the fold's images, and their copies, among those that it was trained on: in its own space, since
encoders do not share axes. A wrong label seen in training would draw its image into the wrong cluster, where it would
not be found. The classifiers use the same folds and give the probability of each class.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import orthogonal_procrustes
from torch import Tensor

from winnow.engine.jobs import run_jobs
from winnow.pipeline.scratch import scratch_array
from winnow.representation.classifier import class_probabilities
from winnow.representation.contrastive import embed
from winnow.representation.neighbours import Search, nearest_of_all
from winnow.representation.network import Encoder
from winnow.representation.planted_junk import plant_junk
from winnow.representation.predictions import Indices, Neighbours, Points
from winnow.training.network import pick_device

NO_FOLD = -1  # the label book: every encoder learns from it
AT_ONCE = 4096  # images of a job; whole batches, so that what a network gives does not depend on the blocks

Pixels = npt.NDArray[np.uint8]


def held_out(
    images: Pixels,
    roots: Indices,
    folds: Indices,
    networks: Sequence[Sequence[Mapping[str, Tensor]]],
    *,
    k: int,
    by_features: bool,
) -> tuple[Points, Neighbours]:
    """Every image embedded by networks that were not trained on it.

    Only source images are neighbours, so that no copy votes, in particular not for its own source image.

    Args:
        images: (N, H, W, C).
        roots: (N,) row of the source image that each was made from; its own row for a source image.
        folds: (R, N) fold by repeat, a copy's its root's; NO_FOLD for an image that every encoder was trained on.
        networks: by repeat and fold, the state of the encoder or classifier that left this fold out.
        k: neighbours; fewer where fewer images are left.
        by_features: whether the embedding is what the last layer reads, as for classifiers, or what it gives.

    Returns:
        (N, D) positions in the first repeat, all spaces turned onto the first one, and the neighbours. An image of
        NO_FOLD is placed by the first encoder, among the others.
    """
    source = roots == np.arange(len(images))
    available = min([k, *(int((source & (row != fold)).sum()) - 1 for row in folds for fold in np.unique(row))])
    if available < 1:
        raise ValueError(f"neighbours need at least 2 source images outside every fold, got {int(source.sum())} in all")
    placed = [
        (np.flatnonzero(source | (row == fold)), state, by_features)
        for row, states in zip(folds, networks, strict=True)
        for fold, state in enumerate(states)
    ]
    spaces = list(in_blocks(place, images, placed, label="place: folds"))
    first: Points = spaces[0][source[placed[0][0]]]
    aligned = np.zeros((len(images), first.shape[1]), np.float32)
    index = np.zeros((len(folds), len(images), available), np.int64)
    distance = np.zeros(index.shape, np.float32)
    searches: list[Search] = []
    queried = [(repeat, fold) for repeat in range(len(folds)) for fold in range(len(networks[repeat]))]
    for (repeat, fold), (rows, *_), points in zip(queried, placed, spaces, strict=True):
        asked, trained_on = sides(folds[repeat], fold, source)
        inside = np.searchsorted(rows, asked)  # of all images to those that are placed
        searches.append((points, inside, np.searchsorted(rows, trained_on)))
        if repeat == 0:
            turn, _ = orthogonal_procrustes(points[source[rows]], first)
            aligned[asked] = points[inside] @ turn.astype(np.float32)
    found = nearest_of_all(searches, available)
    for (repeat, _), (rows, *_), (_, inside, _), (near, far) in zip(queried, placed, searches, found, strict=True):
        index[repeat, rows[inside]], distance[repeat, rows[inside]] = rows[near], far
    return aligned, Neighbours(index, distance)


def sides(folds: Indices, fold: int, learned: npt.NDArray[np.bool_]) -> tuple[Indices, Indices]:
    """The rows that the network without a fold is asked about, and those that it was trained on.

    Args:
        folds: (N,) of one repeat; the first network is asked about images of NO_FOLD too.
        fold: that the network left out.
        learned: (N,) images that the networks of this repeat learned from, except their fold.
    """
    asked = np.flatnonzero((folds == fold) | ((folds == NO_FOLD) & (fold == 0)))
    return asked, np.flatnonzero(learned & (folds != fold))


def in_blocks(
    function: Callable[..., npt.NDArray[Any]],
    given: npt.NDArray[np.generic],
    jobs: Sequence[tuple[Any, ...]],
    *,
    label: str,
) -> Iterator[npt.NDArray[Any]]:
    """The rows of ``function(given, rows, ..., tick)`` for every job, computed in blocks of its rows.

    All are computed when the first is asked for; of those that were handed out nothing is kept.

    Args:
        function: a job for a worker: (n, ...) of n rows, each of them by itself.
        given: (N, ...).
        jobs: rows, and further arguments.
        label: of the progress bar.
    """
    blocks = [(given, rows[start : start + AT_ONCE], *more) for rows, *more in jobs for start in _starts(rows)]
    found = deque(run_jobs(function, blocks, steps=len(blocks), label=label))
    for rows, *_ in jobs:
        yield np.concatenate([found.popleft() for _ in _starts(rows)])


def _starts(rows: Indices) -> range:
    return range(0, max(1, len(rows)), AT_ONCE)


def held_out_probabilities(
    images: Pixels,
    labels: Indices,
    roots: Indices,
    folds: Indices,
    classifiers: Sequence[Sequence[Mapping[str, Tensor]]],
    asked: npt.NDArray[np.bool_] | None = None,
    taught: npt.NDArray[np.bool_] | None = None,
) -> Points:
    """(n, K) probability of each class by classifiers that were not trained on the image, mean over the repeats.

    NaN for a class that none of these classifiers was trained on.

    Args:
        images: (N, H, W, C).
        labels: (N,) class indices.
        roots: (N,) row of the source image that each was made from; its own row for a source image.
        folds: (R, N) fold by repeat, a copy's its root's; an image of NO_FOLD is judged by the first classifier.
        classifiers: by repeat and fold, the state of the classifier that left this fold out.
        asked: (N,) the n images that are judged; None: all.
        taught: (N,) images that classifiers learned from, except the one of their fold; None: the source images.
    """
    wanted = np.ones(len(images), dtype=bool) if asked is None else asked
    learned = roots == np.arange(len(images)) if taught is None else taught
    place = np.cumsum(wanted) - 1  # among those that are judged
    jobs, queried = [], []
    for row, states in zip(folds, classifiers, strict=True):
        for fold, state in enumerate(states):
            rows, trained_on = sides(row, fold, learned)
            inside = rows[wanted[rows]]
            jobs.append((inside, state))
            queried.append((place[inside], labels[trained_on]))
    return mean_of_known(in_blocks(classify, images, jobs, label="classify: folds"), queried, int(wanted.sum()))


def mean_of_known(answers: Iterable[Points], queried: Sequence[tuple[Indices, Indices]], count: int) -> Points:
    """(N, K) mean of several classifiers' probabilities, over those that were trained on the class; NaN without any.

    Args:
        answers: (n, K) of each classifier, at least one.
        queried: of each, the n rows that it was asked about, and the labels that it was trained on.
        count: N.
    """
    first = next(rest := iter(answers))
    classes = first.shape[1]
    total: Points = scratch_array((count, classes), np.float32)
    total.fill(0)
    known = np.zeros(total.shape, np.min_scalar_type(len(queried)))
    for answer, (rows, learned) in zip(chain([first], rest), queried, strict=True):
        taught = np.isin(np.arange(classes), np.unique(learned))
        for start in range(0, len(rows), AT_ONCE):
            part, its = answer[start : start + AT_ONCE], rows[start : start + AT_ONCE]
            told = taught & ~np.isnan(part)
            total[its] += np.where(told, part, 0)
            known[its] += told
    for start in range(0, count, AT_ONCE):
        block = slice(start, start + AT_ONCE)
        total[block] = np.where(known[block] > 0, total[block] / np.maximum(known[block], 1), np.nan)
    return total


def classify_junk(
    images: Pixels,
    folds: Indices,
    classifiers: Sequence[Mapping[str, Tensor]],
    *,
    count: int,
    rng: np.random.Generator,
) -> Points:
    """(J, K) class probabilities of planted junk, by classifiers that were trained on nothing that it is made of.

    Args:
        images: (N, H, W, C) source images.
        folds: (N,) of one repeat.
        classifiers: by fold, the state of the classifier that left it out.
        count: about J: as many of every fold, none of one with fewer than two images.
        rng: of the junk.
    """
    each = -(-count // len(classifiers))
    jobs = [
        (plant_junk(images[inside], each, rng), np.arange(each), state)
        for fold, state in enumerate(classifiers)
        if len(inside := np.flatnonzero(folds == fold)) > 1
    ]
    if not jobs:
        return np.zeros((0, len(classifiers[0]["head.bias"])), np.float32)
    return np.concatenate(run_jobs(classify, jobs, steps=len(jobs), label="planted junk: folds"))


def classify(images: Pixels, rows: Indices, state: Mapping[str, Tensor], tick: Callable[[], None]) -> Points:
    """(len(rows), K) class probabilities of some of the images, computed in a worker process."""
    probabilities = class_probabilities(images[rows], _network(state))
    tick()
    return probabilities


def place(
    images: Pixels, rows: Indices, state: Mapping[str, Tensor], by_features: bool, tick: Callable[[], None]
) -> Points:
    """(len(rows), D) embeddings of some of the images, computed in a worker process."""
    points = embed(images[rows], _network(state), by_features=by_features)
    tick()
    return points


def _network(state: Mapping[str, Tensor]) -> Encoder:
    network = Encoder(len(state["head.bias"]), torch.Generator()).to(pick_device())
    network.load_state_dict(dict(state))
    return network
