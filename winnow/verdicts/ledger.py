"""Verdicts, their table, and the ledger of a dataset: every verdict that led to it, in order.

Each cleansing stage writes a verdict table. Their concatenation is the ledger, which is stored beside the samples
(``<dataset>/ledger.parquet``), so that a refined dataset pulled alone still records why an image was dropped. A dataset
as prepared has none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.pipeline.files import Columns, read_table, schema_of, write_table

KEEP, DROP, RELABEL = "keep", "drop", "relabel"
BEFORE, DECIDED = "r0", "decided"  # round and stage of the decisions that a whole run takes as input
REFINED = "refined"  # stage of the overrides applied at the end
PIPELINE = "winnow"  # `by` of the verdicts that no person gave

VERDICTS: Columns = {
    "id": (pa.string(), "of the image judged"),
    "round": (pa.string(), "round of the verdict; r0: before the first"),
    "stage": (pa.string(), "stage that gave it"),
    "action": (pa.string(), "keep, drop or relabel"),
    "label_before": (pa.string(), "class before the verdict"),
    "label_after": (pa.string(), "class after it; null when dropped"),
    "reason": (pa.string(), "one sentence with the figures that decided"),
    "support": (pa.float64(), "of the label before, lower is worse; null where nothing was measured"),
    "evidence": (pa.list_(pa.string()), "ids of the label-book images harmed most, or of the nearest neighbours"),
    "by": (pa.string(), "winnow, or whoever gave the override"),
}
VERDICT_SCHEMA = schema_of(VERDICTS)
LEDGER = "ledger.parquet"


@dataclass(frozen=True)
class Verdict:
    """What is done with one image."""

    action: str
    label: int | None  # class index afterwards; None when dropped
    reason: str
    support: float  # for its own label, lower is worse
    by: str = PIPELINE


@dataclass(frozen=True)
class VerdictRow:
    """One row of a verdict table."""

    id: str
    round: str
    stage: str
    action: str
    label_before: str
    label_after: str | None  # None when dropped
    reason: str
    support: float | None
    evidence: tuple[str, ...]
    by: str

    @property
    def where(self) -> str:
        """Round and stage, for people."""
        return f"{self.round} {self.stage}"


def verdict_rows(table: pa.Table) -> list[VerdictRow]:
    """The rows of a verdict table, in its order."""
    return [
        VerdictRow(**{**row, "evidence": tuple(row["evidence"] or ())})
        for row in table.select(VERDICT_SCHEMA.names).to_pylist()
    ]


def read_ledger(dataset: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The ledger of a dataset; no rows where there are no verdicts yet.

    Args:
        dataset: its folder.
        columns: those that are needed, all by default: reasons and evidence are most of a ledger.

    Raises:
        UserError: the file is damaged or not a ledger.
    """
    path = dataset / LEDGER
    schema = VERDICT_SCHEMA if columns is None else pa.schema([VERDICT_SCHEMA.field(name) for name in columns])
    if not path.exists():
        return schema.empty_table()
    return read_table(path, schema)


def extend_ledger(ledger: pa.Table, tables: Iterable[pa.Table]) -> pa.Table:
    """The ledger with verdict tables appended, in the order of the stages."""
    return pa.concat_tables([ledger, *(table.select(VERDICT_SCHEMA.names) for table in tables)])


def write_ledger(dataset: Path, ledger: pa.Table) -> None:
    """Write the ledger beside a dataset's samples; an empty one is not written."""
    if ledger.num_rows:
        write_table(dataset / LEDGER, ledger)


def by_stage(ledger: pa.Table) -> dict[tuple[str, str], pa.Table]:
    """The verdict tables that a ledger was made of, by round and stage, in the order of the stages.

    The verdicts of a stage follow one another in a ledger, so that its table is a slice, which holds no copy.
    """
    if not ledger.num_rows:
        return {}
    codes = [pc.dictionary_encode(ledger[name]).combine_chunks().indices.to_numpy() for name in ("round", "stage")]
    differs = (np.diff(codes[0]) != 0) | (np.diff(codes[1]) != 0)
    starts = [0, *(np.flatnonzero(differs) + 1).tolist(), ledger.num_rows]
    parts: dict[tuple[str, str], list[pa.Table]] = {}
    for start, end in pairwise(starts):
        key = (ledger["round"][start].as_py(), ledger["stage"][start].as_py())
        parts.setdefault(key, []).append(ledger.slice(start, end - start))
    return {key: pa.concat_tables(tables) for key, tables in parts.items()}
