"""Section `support`: how well each image's label stands, by all signals together."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import class_names, column, group_indices, label_indices
from winnow.model.inputs import Inputs
from winnow.pipeline.fields import Few, Multiple, Share, section
from winnow.representation.contrast import class_contrasts, unit_features
from winnow.representation.planted_faults import Planted, plant_faults
from winnow.representation.predictions import Points, read_planted, read_probabilities
from winnow.representation.user_signals import NONE, UserSignals, read_user_signals


@section
class Support:
    """Section `support`."""

    neighbours: Few  # nearest images of a class, and of all others, that are compared
    most_sound: Share  # share of the sound images that may be taken for faults, as expected
    # Share of the new labels that must be expected to be right; where they are not, images are dropped instead.
    relabel: Share
    # A cleansing that would touch more than so many times the estimated share of faults only ranks.
    stop: Multiple


def measure_support(
    inputs: Inputs,
    dataset: Path,
    samples: pa.Table,
    probability: npt.NDArray[np.floating],
    settings: Support,
    *,
    junk: npt.NDArray[np.floating] | None = None,
    user: UserSignals = NONE,
    expected: float = 0.0,
) -> Planted:
    """The support of every label of every sample, by the faults planted among the source images of train and val.

    With a backbone, its features say beside the classifiers how near the images of each class are, and wrong labels are
    planted uniformly.

    Args:
        inputs: where the features are.
        dataset: of the samples.
        samples: N rows; copies do not vote.
        probability: (N, K), out of fold; NaN is unknown.
        settings: the params.
        junk: (J,) of planted junk, what the classifiers give it for the labels that it is planted with.
        user: signals of the user's own model, which count as the others do.
        expected: share of faults that an earlier cleansing expected to leave.
    """
    labels, source = label_indices(samples), column(samples, "parent") == ""
    judged = source & np.isin(column(samples, "split"), ("train", "val"))
    signals: list[npt.NDArray[np.floating]] = [probability]
    if inputs.on_features:
        features = inputs.vectors(dataset, samples["id"].to_pylist())
        signals.append(_contrasts(features, samples, source, settings))
    if user.probability is not None:
        signals.append(user.probability)
    if user.embedding is not None:
        signals.append(_contrasts(user.embedding, samples, source, settings))
    return plant_faults(
        signals,
        labels,
        judged,
        most_sound=settings.most_sound,
        alike=None if inputs.on_features else signals[0],
        junk=None if junk is None else junk.astype(np.float64),
        expected=expected,
    )


def read_support(
    inputs: Inputs,
    dataset: Path,
    samples: pa.Table,
    settings: Support,
    *,
    classes: Path,
    planted: Path,
    user_signals: Path,
    expected: float = 0.0,
) -> tuple[Planted, Points]:
    """What an ensemble left, as support, and its (N, K) probabilities.

    Args:
        inputs: where the features are.
        dataset: of the samples.
        samples: N rows, those that the ensemble judged.
        settings: the params.
        classes: table of its probabilities.
        planted: table of what it gives planted junk.
        user_signals: folder with the predictions and embeddings of the user's own model.
        expected: share of faults that an earlier cleansing expected to leave.

    Raises:
        UserError: a file is damaged, or about other images.
    """
    probability, junk = read_probabilities(classes, samples), read_planted(planted, samples)
    user = read_user_signals(user_signals, samples)
    measured = measure_support(inputs, dataset, samples, probability, settings, junk=junk, user=user, expected=expected)
    return measured, probability


def _contrasts(
    features: npt.NDArray[np.floating], samples: pa.Table, source: npt.NDArray[np.bool_], settings: Support
) -> npt.NDArray[np.float64]:
    """(N, K) contrasts among the samples whose features are known; NaN for the others."""
    known = np.isfinite(features).all(axis=1)
    some = slice(None) if known.all() else known  # no copy of what may be large
    classes = len(class_names(samples))
    contrasts = class_contrasts(
        unit_features(features[some].astype(np.float32, copy=False)),
        label_indices(samples)[some],
        group_indices(samples)[some],
        source[some],
        classes=classes,
        k=settings.neighbours,
    )
    if known.all():
        return contrasts
    found = np.full((len(features), classes), np.nan)
    found[known] = contrasts
    return found
