"""What differs between two states of a dataset, sample by sample, and which verdict made it so."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.pipeline.messages import natural_order
from winnow.verdicts.fates import Fate, fates
from winnow.verdicts.ledger import VerdictRow
from winnow.verdicts.states import as_numpy, combined

COLUMNS = ("id", "name", "split", "label", "origin", "parent")


KINDS = ("dropped", "added", "relabelled", "moved")


Row = Mapping[str, Any]  # of a samples table, with COLUMNS


@dataclass(frozen=True)
class Change:
    """A source sample that is not the same in both states."""

    id: str
    name: str
    label_before: str | None  # None where the sample is absent
    label_after: str | None
    split_before: str | None
    split_after: str | None
    verdict: VerdictRow | None = None  # that made the difference, where one did
    undone: bool = False  # the verdict is of the old state, and the new one has it no longer


@dataclass(frozen=True)
class Augmented:
    """The augmented samples of one class and origin."""

    label: str
    origin: str
    before: int
    after: int
    new: int  # of those after, how many were not there before
    gone: int


@dataclass(frozen=True)
class Changes:
    """All that differs between two states of a dataset."""

    sources_before: int
    sources_after: int
    dropped: list[Change]  # all four by name, in natural order
    added: list[Change]
    relabelled: list[Change]
    moved: list[Change]  # from one split to another
    augmented: list[Augmented]  # every class and origin that either state has, those without a difference too

    @property
    def same(self) -> bool:
        """Whether both states hold the same samples, under the same labels, in the same splits."""
        lists: list[list[Change]] = [getattr(self, kind) for kind in KINDS]
        return not any(lists) and not any(group.new or group.gone for group in self.augmented)


def compare(old: pa.Table, new: pa.Table, old_ledger: pa.Table, new_ledger: pa.Table) -> Changes:
    """What differs between two states of a dataset.

    A sample is the same one by its id. Pixels are not compared: an id stands for a name and its content.

    A drop is explained by the new state's last verdict that dropped the sample, a relabelling by its last one that gave
    the label; later ones belong to a round that the gate refused. What the new state does not explain, the old one
    may: the verdict that dropped an added sample, or gave the earlier label, is then no longer in force.

    Args:
        old: samples table before, with ``COLUMNS``.
        new: the table after.
        old_ledger: verdicts before, in order; at least those on ``differing`` samples.
        new_ledger: verdicts after, likewise.

    Time and memory O(samples), and Python objects for those alone that differ.
    """
    ids = differing(old, new)
    before, after = (_rows(side, ids) for side in (old, new))
    changes = [_change(before.get(identifier), after.get(identifier)) for identifier in ids.to_pylist()]
    given = {change.id: (after.get(change.id) or before[change.id])["label"] for change in changes}
    was = fates(given, old_ledger, {row["id"]: row["label"] for row in before.values()})
    now = fates(given, new_ledger, {row["id"]: row["label"] for row in after.values()})
    ordered = sorted(changes, key=lambda change: (natural_order(change.name), change.id))
    explained = [_explained(change, was[change.id], now[change.id]) for change in ordered]
    kept = [change for change in explained if change.label_before is not None and change.label_after is not None]
    return Changes(
        sources_before=old["parent"].null_count,
        sources_after=new["parent"].null_count,
        dropped=[change for change in explained if change.label_after is None],
        added=[change for change in explained if change.label_before is None],
        relabelled=[change for change in kept if change.label_before != change.label_after],
        moved=[change for change in kept if change.split_before != change.split_after],
        augmented=_augmented(old, new),
    )


def differing(old: pa.Table, new: pa.Table) -> pa.Array:
    """The ids of the source samples that are in one of two states alone, or not under the same label and split."""
    before, after = (side.filter(pc.is_null(side["parent"])).select(["id", "label", "split"]) for side in (old, new))
    same = _same(before, after, ("label", "split"))
    added = after["id"].filter(pc.invert(pc.is_in(after["id"], combined(before["id"]))))
    return combined(pa.chunked_array([*before["id"].filter(pa.array(~same)).chunks, *added.chunks], pa.string()))


def _same(rows: pa.Table, others: pa.Table, columns: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(N,) whether another table has a row of the same id that is equal in some columns."""
    place = pc.index_in(combined(rows["id"]), value_set=combined(others["id"]))  # (N,)
    equal = [pc.equal(combined(rows[name]), combined(others[name]).take(place)) for name in columns]
    same: npt.NDArray[np.bool_] = np.all([as_numpy(pc.fill_null(one, False)) for one in equal], axis=0)
    return same


def _rows(samples: pa.Table, ids: pa.Array) -> dict[str, Row]:
    """The source samples of some ids."""
    found = samples.filter(pc.and_(pc.is_in(samples["id"], ids), pc.is_null(samples["parent"])))
    return {row["id"]: row for row in found.to_pylist()}


def _state(row: Row | None) -> tuple[str, str] | None:
    return None if row is None else (row["label"], row["split"])


def _change(before: Row | None, after: Row | None) -> Change:
    row = after or before
    assert row is not None
    label_before, split_before = _state(before) or (None, None)
    label_after, split_after = _state(after) or (None, None)
    return Change(row["id"], row["name"], label_before, label_after, split_before, split_after)


def _explained(change: Change, was: Fate, now: Fate) -> Change:
    """The change with the verdict that made it."""
    if change.label_before == change.label_after:  # it only moved, and no verdict moves a sample
        return change
    verdict = now.deciding if change.label_before is not None else None
    if verdict is None:
        undone = was.deciding if change.label_after is not None else None
        return replace(change, verdict=undone, undone=undone is not None)
    return replace(change, verdict=verdict)


def _augmented(old: pa.Table, new: pa.Table) -> list[Augmented]:
    """Counts by class and origin; a sample whose label changed is gone from one class and new in another."""
    before, after = (side.filter(pc.is_valid(side["parent"])).select(["id", "label", "origin"]) for side in (old, new))
    fresh, lost = (~_same(rows, others, ("label", "origin")) for rows, others in ((after, before), (before, after)))
    tables = (before, after, after.filter(pa.array(fresh)), before.filter(pa.array(lost)))
    counts = [_counted(table) for table in tables]
    groups = sorted({*counts[0], *counts[1]}, key=lambda group: (natural_order(group[0]), group[1]))
    return [Augmented(*group, *(count[group] for count in counts)) for group in groups]


def _counted(rows: pa.Table) -> Counter[tuple[str, str]]:
    """The samples of each class and origin."""
    groups = rows.group_by(["label", "origin"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({(group["label"], group["origin"]): group["count_all"] for group in groups})
