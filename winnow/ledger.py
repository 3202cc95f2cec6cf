"""The ledger of a dataset: every verdict that led to it, in the order in which they fell.

It lies beside the samples (`<dataset>/ledger.parquet`) and travels with them, so that a refined dataset pulled alone
can still say why an image is gone. A dataset as prepared has none yet.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from winnow.dataset import VERDICT_SCHEMA, column
from winnow.stage import read_table, write_table

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
