"""Section `support`, and what it makes of features: how well each image's label stands, where features are used."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import class_names, column, group_indices, label_indices
from winnow.pipeline.fields import Few, Multiple, Share, section
from winnow.representation.contrast import class_contrasts, unit_features
from winnow.representation.planted_flips import Planted, plant_flips
from winnow.representation.user_signals import NONE, UserSignals


@section
class Support:
    """Section `support`."""

    neighbours: Few  # nearest images of a class, and of all others, that are compared
    most_sound: Share  # share of the sound images that may be taken for faults, as expected
    # An image is relabelled if the new label scores above this share of the given ones; else it is dropped.
    relabel: Share
    # A cleansing that would touch more than so many times the estimated share of faults only ranks.
    stop: Multiple


def measure_support(
    features: npt.NDArray[np.float32],
    probability: npt.NDArray[np.floating],
    samples: pa.Table,
    settings: Support,
    user: UserSignals = NONE,
) -> Planted:
    """The support of every label of every sample, by the planted wrong labels of the source images of train and val.

    Args:
        features: (N, D).
        probability: (N, K), out of fold; NaN is unknown.
        samples: N rows; copies do not vote.
        settings: the params.
        user: signals of the user's own model, which count as the others do.
    """
    labels, source = label_indices(samples), column(samples, "parent") == ""
    judged = source & np.isin(column(samples, "split"), ("train", "val"))
    signals = [probability.astype(np.float64), _contrasts(features, samples, source, settings)]
    if user.probability is not None:
        signals.append(user.probability)
    if user.embedding is not None:
        signals.append(_contrasts(user.embedding, samples, source, settings))
    return plant_flips(signals, labels, judged, most_sound=settings.most_sound)


def _contrasts(
    features: npt.NDArray[np.floating], samples: pa.Table, source: npt.NDArray[np.bool_], settings: Support
) -> npt.NDArray[np.float64]:
    """(N, K) contrasts among the samples whose features are known; NaN for the others."""
    known = np.isfinite(features).all(axis=1)
    classes = len(class_names(samples))
    found = np.full((len(features), classes), np.nan)
    found[known] = class_contrasts(
        unit_features(features[known].astype(np.float32)),
        label_indices(samples)[known],
        group_indices(samples)[known],
        source[known],
        classes=classes,
        k=settings.neighbours,
    )
    return found
