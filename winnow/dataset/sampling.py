"""A sample of a dataset that is larger than the judge allows, drawn by the ids, so that samples share images."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.draws import id_hashes, reshuffled
from winnow.dataset.samples import LEAST, column, label_indices

VALIDATION = 5  # one part in so many of a sample may be validation images, and all of them are where they are fewer


def stratified_sample(samples: pa.Table, *, most: int, seed: int) -> pa.Table:
    """At most so many train and val images, of every class in proportion, in table order.

    Of each class ``LEAST`` images stay, as far as there is room. A split keeps its share, but few validation images, as
    those that choose the epoch are, stay whole (``VALIDATION``). Which images of a class are drawn depends on their ids
    and the seed alone: two datasets that have the same images have most of a sample in common.

    Args:
        samples: of train and val.
        most: images of the sample; a table that has no more is returned as it is.
        seed: of the draw.

    Time O(N log N), memory O(N).
    """
    if len(samples) <= most:
        return samples
    validation = column(samples, "split") == "val"  # (N,)
    share = round(most * int(validation.sum()) / len(samples))
    room = {"val": min(int(validation.sum()), max(share, most // VALIDATION))}
    room["train"] = most - room["val"]
    labels, draws = label_indices(samples), reshuffled(id_hashes(samples["id"]), seed)
    chosen = np.zeros(len(samples), dtype=bool)
    for split, members in (("train", ~validation), ("val", validation)):
        rows = np.flatnonzero(members)
        chosen[rows[_class_by_class(labels[rows], draws[rows], LEAST[split])[: room[split]]]] = True
    return samples.filter(pa.array(chosen))


def _class_by_class(labels: npt.NDArray[np.int64], draws: npt.NDArray[np.uint64], least: int) -> npt.NDArray[np.intp]:
    """(N,) rows in an order of which every beginning has each class in proportion, the first ``least`` of all ahead.

    The j-th image of a class of n, as drawn, comes at (j + 1/2) / n.
    """
    order = np.lexsort((draws, labels))  # by class
    sizes = np.bincount(labels)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - (np.cumsum(sizes) - sizes)[labels[order]]
    place = np.where(rank < least, -1.0, (rank + 0.5) / sizes[labels])
    return np.lexsort((draws, place))
