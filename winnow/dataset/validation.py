"""Which images choose the epoch once the first verdict is given: few a class, so that the others are trained on."""

import hashlib
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa

from winnow.dataset.samples import class_names, column, samples_table


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
    labels, groups = samples["label"].to_pylist(), samples["group"].to_pylist()
    validation = np.flatnonzero(column(samples, "split") == "val")
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by group, its images of each class
    for row in validation.tolist():
        counts[groups[row]][labels[row]] += 1
    kept: Counter[str] = Counter()
    stays: dict[str, bool] = {}  # by group
    for group in sorted(counts, key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).digest()):
        stays[group] = any(kept[label] < per_class for label in counts[group])
        kept += counts[group] if stays[group] else Counter()
    rows = samples.to_pylist()
    for row in validation.tolist():
        if not stays[groups[row]]:
            rows[row]["split"] = "train"
    return samples_table(rows, class_names(samples))
