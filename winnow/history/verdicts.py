"""The verdicts behind a dataset of a revision, in the order in which the stages gave them."""

from pathlib import PurePosixPath

import pyarrow as pa

from winnow.history.revision import Revision, read_columns
from winnow.history.version_0_1 import modern_verdicts
from winnow.pipeline.messages import UserError, natural_order
from winnow.verdicts.ledger import LEDGER, VERDICT_SCHEMA, extend_ledger

FILE = "verdicts.parquet"


def read_verdicts(revision: Revision, dataset: str, ids: pa.Array) -> pa.Table:
    """The verdicts on some samples behind a dataset of a revision, in order.

    They come from the dataset's own ledger, which travels with it and names what led to it alone; a dataset within a
    round, or one that nobody judged, has none, and then they are those of all stages.

    Raises:
        UserError: a table is not to be had.
    """
    path = f"{dataset}/{LEDGER}"
    if path in revision.files(dataset):
        return _read(revision, path, ids)
    tables = [_read(revision, path, ids) for path in revision.outputs if PurePosixPath(path).name == FILE]
    return extend_ledger(VERDICT_SCHEMA.empty_table(), sorted(tables, key=_round))  # dvc.yaml has the stages in order


def _round(verdicts: pa.Table) -> tuple[object, ...]:
    """Sort key: r2 comes before r10."""
    return natural_order(verdicts["round"][0].as_py()) if verdicts.num_rows else ()


def _read(revision: Revision, path: str, ids: pa.Array) -> pa.Table:
    table = modern_verdicts(read_columns(revision, path, ids=ids), path)
    lacking = [name for name in VERDICT_SCHEMA.names if name not in table.column_names]
    if lacking:
        raise UserError(f"{revision.name}: {path} is no verdict table, it has no {', '.join(lacking)}; run `dvc repro`")
    return table.select(VERDICT_SCHEMA.names).cast(VERDICT_SCHEMA)
