"""Influence in tests: deviations as one array, and heads valued without a worker."""

from pathlib import Path

import numpy as np

from winnow.influence.columns import book_columns
from winnow.influence.harm import standardised_classes
from winnow.influence.head_valuation import FeatureData, value_head
from winnow.training.head import HeadProfile


def standardised(effect: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, M) deviations from the class of every image."""
    found = np.full(effect.shape, np.nan)
    for members, standard in standardised_classes(effect, labels):
        found[members] = standard
    return found


def feature_data(
    features: np.ndarray, labels: np.ndarray, book: np.ndarray, book_labels: np.ndarray, classes: int
) -> FeatureData:
    """With one column for each label-book image."""
    ids, names = [f"b{number}" for number in range(len(book))], [f"c{number}" for number in range(classes)]
    columns = book_columns(ids, book_labels, names, by_class=False)
    return FeatureData(features, labels, book, book_labels, columns, classes)


def valued_by_head(
    features: np.ndarray,
    labels: np.ndarray,
    book: np.ndarray,
    book_labels: np.ndarray,
    members: np.ndarray,
    classes: int,
    profile: HeadProfile,
    seed: int,
    into: Path,
    *,
    exact: bool = True,
) -> np.ndarray:
    """(n, M) effects of the members."""
    data = feature_data(features, labels, book, book_labels, classes)
    value_head(data, members, profile, seed, exact, into, lambda: None)
    found: np.ndarray = np.load(into)
    return found
