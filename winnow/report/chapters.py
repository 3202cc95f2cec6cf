"""The verdict tables as people read them: by round and stage, what was done, worst first.

Support is the same way up in every stage: lower is worse.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from winnow.verdicts.ledger import DROP, KEEP, RELABEL, VerdictRow, verdict_rows

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


def chapters_of(tables: Mapping[tuple[str, str], pa.Table], *, known: Collection[str], cap: int) -> list[Chapter]:
    """The verdicts on some images, a chapter for each table.

    Args:
        tables: verdict tables by round and stage, in the order of the pipeline.
        known: ids of those images; rows about others (augmented copies) are passed over.
        cap: verdicts shown in a group, at most.
    """
    chapters = []
    for (round_name, stage), table in tables.items():
        verdicts = [row for row in verdict_rows(table) if row.id in known]
        counted = Counter(verdict.action for verdict in verdicts)
        groups = [_group(action, verdicts, cap) for action in ACTIONS if counted[action]]
        counts = {action: counted[action] for action in (KEEP, *ACTIONS)}
        chapters.append(Chapter(round_name, stage, counts, groups))
    return chapters


def _group(action: str, verdicts: list[VerdictRow], cap: int) -> Group:
    chosen = sorted((verdict for verdict in verdicts if verdict.action == action), key=_badness)
    return Group(action, len(chosen), chosen[:cap])


def _badness(verdict: VerdictRow) -> float:
    """Ascending: the worst first, what has no support last; equals stay in the table's order."""
    return math.inf if verdict.support is None or math.isnan(verdict.support) else verdict.support
