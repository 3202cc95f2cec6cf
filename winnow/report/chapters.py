"""The verdict tables as people read them: by round and stage, what was done, worst first.

Support is the same way up in every stage: lower is worse.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.verdicts.ledger import DROP, KEEP, RELABEL, VerdictRow, verdict_rows
from winnow.verdicts.states import as_numpy

ACTIONS = (DROP, RELABEL)  # what a person wants to see; `keep` is counted alone


@dataclass(frozen=True)
class Group:
    """What one stage did to images in one way."""

    action: str
    total: int
    shown: list[VerdictRow]  # the worst, at most the cap

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.total - len(self.shown)


@dataclass(frozen=True)
class Chapter:
    """One stage of one round."""

    round_name: str
    stage: str
    counts: dict[str, int]  # keep, drop, relabel
    groups: list[Group]  # without the empty ones


def chapters_of(tables: Mapping[tuple[str, str], pa.Table], *, known: pa.Array, cap: int) -> list[Chapter]:
    """The verdicts on some images, a chapter for each table.

    Args:
        tables: verdict tables by round and stage, in the order of the pipeline.
        known: ids of those images; rows about others (augmented copies) are passed over.
        cap: verdicts shown in a group, at most.
    """
    chapters = []
    for (round_name, stage), table in tables.items():
        mine = pc.is_in(table["id"], known)
        rows = {
            action: np.flatnonzero(as_numpy(pc.and_(mine, pc.equal(table["action"], action))))
            for action in (KEEP, *ACTIONS)
        }
        groups = [_group(action, table, rows[action], cap) for action in ACTIONS if len(rows[action])]
        counts = {action: len(found) for action, found in rows.items()}
        chapters.append(Chapter(round_name, stage, counts, groups))
    return chapters


def _group(action: str, table: pa.Table, rows: npt.NDArray[np.int64], cap: int) -> Group:
    """The worst first, what has no support last; equals stay in the table's order.

    Args:
        action: of the group.
        table: the verdicts.
        rows: of the table, ascending, that the group has.
        cap: verdicts shown, at most.
    """
    support = as_numpy(pc.fill_null(table["support"], np.nan))[rows]
    chosen = rows[np.argsort(support, kind="stable")[:cap]]  # NaN comes last
    return Group(action, len(rows), verdict_rows(table.take(pa.array(chosen))))
