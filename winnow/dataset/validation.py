"""Which images choose the epoch once the first verdict is given: few a class, so that the others are trained on."""

import hashlib
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa

from winnow.dataset.samples import SCHEMA, class_names, column, of_classes


def deal_validation(samples: pa.Table, *, per_class: int, seed: int) -> pa.Table:
    """The samples with as many validation images of every class as wanted; the others become training images.

    An image of train stays there, so that no image that was learnt from becomes one that is held out. A group of
    near-duplicates moves as a whole, so that a class may keep a few more than wanted. Groups are drawn in the order of
    hashes, so that datasets that share most images share most of those that stay.

    Args:
        samples: source images of any splits.
        per_class: images wanted; a class that has no more of them keeps all. 0: the splits stay as they are.
        seed: of the draw.
    """
    if not per_class:
        return samples
    splits = column(samples, "split").astype(object)
    validation = np.flatnonzero(splits == "val")
    labels, groups = (samples[name].take(validation).to_pylist() for name in ("label", "group"))
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by group, its images of each class
    for label, group in zip(labels, groups, strict=True):
        counts[group][label] += 1
    kept: Counter[str] = Counter()
    stays: dict[str, bool] = {}  # by group
    for group in sorted(counts, key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).digest()):
        stays[group] = any(kept[label] < per_class for label in counts[group])
        if stays[group]:
            kept.update(counts[group])
    splits[[row for row, group in zip(validation.tolist(), groups, strict=True) if not stays[group]]] = "train"
    dealt = samples.set_column(SCHEMA.get_field_index("split"), "split", pa.array(splits.tolist(), pa.string()))
    return of_classes(dealt, class_names(samples))
