"""What became of all images of a dataset at once, as columns.

``fates`` holds every verdict on the images queried as an object, which is for few of them. Here the ledger stays a
table, of which the columns that are needed may be all that was read.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.verdicts.ledger import DROP, KEEP

STATE_COLUMNS = ("id", "action", "label_after")  # of a ledger, read by ``states``


@dataclass(frozen=True)
class States:
    """Of N images: the label before the first verdict, and the label now."""

    ids: pa.Array  # (N,) string
    given: pa.Array  # (N,) string
    label: pa.Array  # (N,) string; null where the image was dropped

    @property
    def dropped(self) -> npt.NDArray[np.bool_]:
        """(N,)."""
        return as_numpy(pc.is_null(self.label))

    @property
    def touched(self) -> npt.NDArray[np.bool_]:
        """(N,) dropped, or of another class than delivered."""
        return as_numpy(pc.fill_null(pc.not_equal(self.label, self.given), True))

    @property
    def relabelled(self) -> npt.NDArray[np.bool_]:
        """(N,) of another class than delivered, and not dropped."""
        return self.touched & ~self.dropped


def states(ids: pa.ChunkedArray, given: pa.ChunkedArray, ledger: pa.Table) -> States:
    """The label of each image once the verdicts are applied, as ``fates`` has it.

    A verdict to keep changes nothing but for an image that was dropped, which it brings back.

    Args:
        ids: (N,) each once.
        given: (N,) label before the first verdict.
        ledger: L verdicts in order, with ``STATE_COLUMNS``; rows about other ids are ignored.

    Time and memory O(N + L).
    """
    ids, given = combined(ids), combined(given)
    place = places(ledger["id"], ids)  # (L,)
    keeps = as_numpy(pc.equal(ledger["action"], KEEP))  # (L,)
    change = _last(place, ~keeps, len(ids))  # (N,)
    drops = as_numpy(pc.equal(ledger["action"], DROP))  # (L,)
    dropped = (change >= 0) & (drops[change] if len(drops) else False)  # (N,)
    rows = np.arange(len(place))
    after = rows[keeps & (place >= 0)]
    after = after[dropped[place[after]] & (after > change[place[after]])]
    back = np.full(len(ids), len(place))
    np.minimum.at(back, place[after], after)  # the first verdict to keep it after it was dropped
    row = np.where(dropped, np.where(back < len(place), back, -1), change)  # (N,) whose label_after counts
    found = combined(ledger["label_after"]).take(pa.array(row, mask=row < 0))
    return States(ids, given, pc.if_else(pa.array(change < 0), given, found))


def states_in(ids: pa.ChunkedArray, given: pa.ChunkedArray, samples: pa.Table) -> States:
    """The label of each image in a dataset, which lacks what was dropped.

    Args:
        ids: (N,) each once.
        given: (N,) label before the first verdict.
        samples: table of the dataset; others than the images are ignored.
    """
    ids = combined(ids)
    return States(ids, combined(given), combined(samples["label"]).take(pc.index_in(ids, combined(samples["id"]))))


def last_verdicts(ids: pa.ChunkedArray, judged: pa.ChunkedArray, where: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(N,) row of the last verdict on each image among some of them; -1 where there is none.

    Args:
        ids: (N,) each once.
        judged: (L,) ids of a ledger.
        where: (L,) the verdicts that count.
    """
    return _last(places(judged, combined(ids)), where, len(ids))


def places(values: pa.ChunkedArray, ids: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """(L,) for each value its place among the ids; -1 where it is none of them."""
    found = pc.fill_null(pc.index_in(values, value_set=combined(ids)), -1)
    return as_numpy(found).astype(np.int64)


def combined(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column in one piece."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def as_numpy(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[Any]:
    """A column without gaps as an array."""
    values: npt.NDArray[Any] = combined(column).to_numpy(zero_copy_only=False)
    return values


def _last(place: npt.NDArray[np.int64], where: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.int64]:
    rows = np.flatnonzero(where & (place >= 0))
    last = np.full(count, -1)
    np.maximum.at(last, place[rows], rows)
    return last
