"""Verdicts, and the ledger of a dataset: every verdict that led to it, in order.

The ledger lies beside the samples (``<dataset>/ledger.parquet``) and travels with them, so that a refined dataset
pulled alone can still say why an image is gone. A dataset as prepared has none yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from winnow.dataset.samples import column
from winnow.pipeline.files import read_table, write_table

VERDICT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("action", pa.string()),  # keep, drop, relabel
        ("label_before", pa.string()),
        ("label_after", pa.string()),  # null when dropped
        ("reason", pa.string()),
        ("score", pa.float64()),
        ("evidence", pa.list_(pa.string())),  # the validation ids or neighbour ids that decided
    ]
)


KEEP, DROP, RELABEL = "keep", "drop", "relabel"


@dataclass(frozen=True)
class Verdict:
    """What is done with one image."""

    action: str
    label: int | None  # afterwards; None when dropped
    reason: str
    support: float  # for its own label, in [0, 1]


LEDGER = "ledger.parquet"


LEDGER_SCHEMA = pa.schema([("round", pa.string()), ("stage", pa.string()), *VERDICT_SCHEMA])


def read_ledger(dataset: Path) -> pa.Table:
    """The ledger of a dataset; no rows where nothing was decided yet.

    Raises:
        UserError: the file is damaged or no ledger.
    """
    path = dataset / LEDGER
    if not path.exists():
        return LEDGER_SCHEMA.empty_table()
    return read_table(path, LEDGER_SCHEMA)


def extended(ledger: pa.Table, verdicts: Mapping[tuple[str, str], pa.Table]) -> pa.Table:
    """The ledger with verdict tables behind it.

    Args:
        ledger: so far.
        verdicts: tables of ``dataset.VERDICT_SCHEMA`` by round and stage, in the order in which they fell.
    """
    parts = [ledger]
    for (round_name, stage), table in verdicts.items():
        names = [pa.array([name] * table.num_rows, pa.string()) for name in (round_name, stage)]
        parts.append(pa.Table.from_arrays([*names, *table.columns], schema=LEDGER_SCHEMA))
    return pa.concat_tables(parts)


def write_ledger(dataset: Path, ledger: pa.Table) -> None:
    """Put the ledger beside a dataset's samples; an empty one is no file."""
    if ledger.num_rows:
        write_table(dataset / LEDGER, ledger)


def by_stage(ledger: pa.Table) -> dict[tuple[str, str], pa.Table]:
    """The verdict tables that a ledger was made of, by round and stage, in the order in which they fell."""
    rounds, stages = column(ledger, "round"), column(ledger, "stage")
    pairs = dict.fromkeys(zip(rounds.tolist(), stages.tolist(), strict=True))
    return {
        (one, stage): ledger.filter(pa.array((rounds == one) & (stages == stage))).select(VERDICT_SCHEMA.names)
        for one, stage in pairs
    }
