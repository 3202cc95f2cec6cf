"""The label check with a backbone: which magnitudes a class's label survives in the eyes of the model that is judged.

Images of every class are changed by every operation at every magnitude, as copies are, and classified from the
backbone's features by heads that were trained without them. A small network trained from scratch, as ``label_check``
has, would recognise too few photographs to miss any.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from winnow.augmentation.rendering import fixed, render
from winnow.backbone.resize import content_box
from winnow.dataset.arrays import ArrayStore
from winnow.dataset.draws import in_turn
from winnow.dataset.folds import deal_folds
from winnow.engine.jobs import run_jobs
from winnow.model.copies import copy_features
from winnow.model.extraction import Extraction
from winnow.model.inputs import Inputs
from winnow.pipeline.fields import AtLeastTwo, Count, Magnitudes, section
from winnow.policy_search.label_check import LabelCheck, decide_or_pool
from winnow.policy_search.label_check_training import Check, demand_rising
from winnow.representation.heads import head_of, train_head_state
from winnow.training.head import HeadProfile
from winnow.transforms.operations import Applied

Pixels = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


@section
class BackboneCheck:
    """What differs from the label check without a backbone."""

    folds: AtLeastTwo  # heads; each judges the images that it was not trained on
    images: Count  # judged, of all classes together: the cost is in their features
    magnitudes: Magnitudes  # as in label_check

    def __post_init__(self) -> None:
        demand_rising(self.magnitudes)


def find_limits_by_backbone(
    samples: pa.Table,
    labels: Indices,
    features: npt.NDArray[np.float32],
    classes: Sequence[str],
    operations: Sequence[str],
    check: Check,
    settings: BackboneCheck,
    *,
    inputs: Inputs,
    extraction: Extraction,
    head: HeadProfile,
    seed: int,
) -> LabelCheck:
    """The magnitudes of each operation that each class's label survives; of all alike where classes have few images.

    Args:
        samples: N training images.
        labels: (N,) class indices.
        features: (N, D).
        classes: K names.
        operations: names of ``OPERATIONS``.
        check: the criterion.
        settings: how many images, and at which magnitudes.
        inputs: their pixels.
        extraction: of the backbone.
        head: how heads are trained.
        seed: of draws, folds and orders.
    """
    rng = np.random.default_rng(seed)
    chosen = in_turn(labels, settings.images, rng)
    folds = deal_folds(labels, samples["group"].to_pylist(), folds=settings.folds, rng=rng)
    jobs = [(features, labels, folds != fold, head, len(classes), seed + fold) for fold in range(settings.folds)]
    steps = sum(head.epochs_on(int(members.sum())) for _, _, members, *_ in jobs)
    states = run_jobs(train_head_state, jobs, steps=steps, label="label check: epochs")
    heads = [head_of(state) for state in states]
    plan = [(name, magnitude) for name in operations for magnitude in settings.magnitudes]
    drawn = _changed(samples.take(pa.array(chosen)).to_pylist(), plan, inputs, torch.Generator().manual_seed(seed))
    taken_for = np.zeros((len(operations), 1 + len(settings.magnitudes), len(chosen)), dtype=np.int64)
    with copy_features(extraction, drawn) as found:
        for place, row in enumerate(chosen.tolist()):
            judge = heads[folds[row]]
            seen = np.stack([features[row], *(found.row(_key(place, n)) for n in range(len(plan)))]).astype(np.float32)
            answers = judge.probabilities(seen).argmax(axis=1)
            taken_for[:, 0, place] = answers[0]
            taken_for[:, 1:, place] = answers[1:].reshape(len(operations), len(settings.magnitudes))
    criterion = dataclasses.replace(check, magnitudes=settings.magnitudes)
    return decide_or_pool(taken_for, labels[chosen], classes, operations, criterion)


def _key(place: int, number: int) -> str:
    return f"{place}-{number}"


def _changed(
    rows: Sequence[Mapping[str, Any]],
    plan: Sequence[tuple[str, float]],
    inputs: Inputs,
    generator: torch.Generator,
) -> Iterator[tuple[str, Pixels]]:
    """Every image under every operation of the plan, inside its square."""
    card, store = inputs.card, ArrayStore(inputs.pixels)
    for place, row in enumerate(rows):
        top, left, height, width = content_box(row["width"], row["height"], card.pixels, card.resize)
        inside = slice(top, top + height), slice(left, left + width)
        square = store.row(row["id"])
        steps = fixed([[Applied(name, magnitude)] for name, magnitude in plan], generator)
        for number, one in enumerate(steps):
            changed = np.array(square)
            changed[inside] = render(np.ascontiguousarray(square[inside]), one)
            yield _key(place, number), changed
