"""Out of fold: the encoder that embeds an image was trained on neither the image nor its label.

Source images are dealt into folds, once per repeat; for each fold, an encoder is trained on all other folds and the
label book. It embeds the fold's images, and their copies, among those that it was trained on: in its own space, since
encoders do not share axes. A wrong label seen in training would draw its image into the wrong cluster, where it would
not be found. The classifiers use the same folds and give the probability of each class.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from winnow.pipeline.workers import run_jobs
from winnow.representation.classifier import class_probabilities
from winnow.representation.contrastive import embed
from winnow.representation.network import Encoder
from winnow.representation.planted_junk import plant_junk
from winnow.representation.predictions import Indices, Neighbours, Points
from winnow.training.network import pick_device

NO_FOLD = -1  # the label book: every encoder learns from it


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
    jobs = [
        (images, np.flatnonzero(source | (row == fold)), state, by_features)
        for row, states in zip(folds, networks, strict=True)
        for fold, state in enumerate(states)
    ]
    spaces = iter(zip(jobs, run_jobs(place, jobs, steps=len(jobs), label="place: folds"), strict=True))
    index = np.zeros((len(folds), len(images), available), np.int64)
    distance = np.zeros(index.shape, np.float32)
    aligned: Points | None = None
    first: Points | None = None
    for repeat, row in enumerate(folds):
        for fold in range(len(networks[repeat])):
            (_, rows, *_), points = next(spaces)
            places = np.zeros((len(images), points.shape[1]), np.float32)
            places[rows] = points
            inside = np.flatnonzero((row == fold) | ((row == NO_FOLD) & (fold == 0)))
            trained_on = np.flatnonzero(source & (row != fold))
            index[repeat, inside], distance[repeat, inside] = nearest(places, inside, trained_on, available)
            if repeat == 0:
                first = places[source] if first is None else first
                turn, _ = orthogonal_procrustes(places[source], first)
                aligned = np.empty_like(places) if aligned is None else aligned
                aligned[inside] = places[inside] @ turn.astype(np.float32)
    assert aligned is not None
    return aligned, Neighbours(index, distance)


def held_out_probabilities(
    images: Pixels,
    labels: Indices,
    roots: Indices,
    folds: Indices,
    classifiers: Sequence[Sequence[Mapping[str, Tensor]]],
    asked: npt.NDArray[np.bool_] | None = None,
) -> Points:
    """(N, K) probability of each class by classifiers that were not trained on the image, mean over the repeats.

    NaN for a class that none of these classifiers was trained on, and for images that are not asked about.

    Args:
        images: (N, H, W, C).
        labels: (N,) class indices.
        roots: (N,) row of the source image that each was made from; its own row for a source image.
        folds: (R, N) fold by repeat, a copy's its root's; an image of NO_FOLD is judged by the first classifier.
        classifiers: by repeat and fold, the state of the classifier that left this fold out.
        asked: (N,) images that are judged; None: all.
    """
    wanted = np.ones(len(images), dtype=bool) if asked is None else asked
    source = roots == np.arange(len(images))
    queried = [
        (repeat, wanted & ((row == fold) | ((row == NO_FOLD) & (fold == 0))), labels[source & (row != fold)], state)
        for repeat, (row, states) in enumerate(zip(folds, classifiers, strict=True))
        for fold, state in enumerate(states)
    ]
    jobs = [(images, np.flatnonzero(inside), state) for _, inside, _, state in queried]
    answers = run_jobs(classify, jobs, steps=len(jobs), label="classify: folds")
    table = np.full((len(folds), len(images), answers[0].shape[1]), np.nan, np.float32)
    for (repeat, inside, trained_on, _), answer in zip(queried, answers, strict=True):
        table[repeat, inside] = np.where(np.isin(np.arange(answer.shape[1]), trained_on), answer, np.nan)
    known = ~np.isnan(table)
    total: Points = np.where(known, table, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
    return np.where(known.any(axis=0), total, np.float32(np.nan))


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


def nearest(points: Points, queries: Indices, among: Indices, k: int) -> tuple[Indices, Points]:
    """(n, k) rows and distances of the nearest others, nearest first.

    Args:
        points: (N, D).
        queries: (n,) rows whose neighbours are found.
        among: rows that may be neighbours; a query is never its own neighbour.
        k: neighbours; fewer where fewer are left.
    """
    if not len(queries):
        return np.zeros((0, k), np.int64), np.zeros((0, k), np.float32)
    found = NearestNeighbors(n_neighbors=min(k + 1, len(among)), algorithm="brute").fit(points[among])
    distance, position = found.kneighbors(points[queries])
    rows = among[position]  # (n, k + 1)
    # A query may be among the candidates (the label book): it is removed, whatever its rank.
    self_last = np.argsort(rows == queries[:, None], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, self_last, 1), np.take_along_axis(distance, self_last, 1).astype(np.float32)
