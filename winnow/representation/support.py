"""Section `support`, and what it makes of features: how well each image's label stands, where features are used."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from winnow.dataset.samples import class_names, column, group_indices, label_indices
from winnow.pipeline.fields import Count, Share, section
from winnow.representation.contrast import class_contrasts, unit_features
from winnow.representation.planted_flips import Planted, plant_flips


@section
class Support:
    """Section `support`."""

    neighbours: Count  # nearest images of a class, and of all others, that are compared
    most_sound: Share  # share of the sound images that may be taken for faults, as expected
    # An image is relabelled if the new label scores above this share of the given ones; else it is dropped.
    relabel: Share
    # A cleansing that would touch more than so many times the estimated share of faults only ranks.
    stop: Annotated[float, Field(ge=1)]


def measure_support(
    features: npt.NDArray[np.float32],
    probability: Sequence[npt.NDArray[np.floating]],
    samples: pa.Table,
    settings: Support,
) -> Planted:
    """The support of every label of every sample, by the planted wrong labels of the source images of train and val.

    Args:
        features: (N, D).
        probability: each (N, K), out of fold; NaN is unknown.
        samples: N rows; copies do not vote.
        settings: the params.
    """
    labels, source = label_indices(samples), column(samples, "parent") == ""
    judged = source & np.isin(column(samples, "split"), ("train", "val"))
    contrast = class_contrasts(
        unit_features(features),
        labels,
        group_indices(samples),
        source,
        classes=len(class_names(samples)),
        k=settings.neighbours,
    )
    signals = [*(one.astype(np.float64) for one in probability), contrast]
    return plant_flips(signals, labels, judged, most_sound=settings.most_sound)
