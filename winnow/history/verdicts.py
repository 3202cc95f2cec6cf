"""The verdicts behind a dataset of a revision, in the order in which the stages gave them."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from winnow.history.revision import Revision, outputs, read_columns, read_yaml
from winnow.pipeline.messages import natural_order
from winnow.verdicts.ledger import LEDGER, VERDICT_SCHEMA, VerdictRow, by_stage, verdict_rows

FILE = "verdicts.parquet"


STAGES = ("cleanse_influence", "cleanse_neighbours", "cleanse_final")  # in a round's order


def verdict_order(path: str) -> tuple[object, ...]:
    """Sort key of a verdict table's path, ``data/<round>/<stage>/verdicts.parquet``: rounds, then stages in a round."""
    round_name, stage = _origin(path)
    rank = STAGES.index(stage) if stage in STAGES else len(STAGES)
    return natural_order(round_name), rank, stage


def verdict_paths(revision: Revision) -> list[str]:
    """The verdict tables of a revision, in order.

    dvc.lock keeps the entries of rounds and stages that are no more; those that params.yaml and dvc.yaml do not name
    are left out.
    """
    stages = read_yaml(revision, "dvc.yaml").get("stages") or {}
    rounds = read_yaml(revision, "params.yaml").get("rounds") or {}
    paths = [
        path
        for path, (stage, _) in outputs(revision).items()
        if PurePosixPath(path).name == FILE and stage.partition("@")[0] in stages and _origin(path)[0] in rounds
    ]
    return sorted(paths, key=verdict_order)


def read_verdicts(revision: Revision, dataset: str) -> dict[str, pa.Table]:
    """The verdict tables behind a dataset of a revision by path, in order.

    They come from the dataset's own ledger, which travels with it and names what led to it alone; a dataset within a
    round, or one that nobody judged, has none, and then they are those of all stages.

    Raises:
        UserError: a table is not to be had.
    """
    path = f"{dataset}/{LEDGER}"
    if path in revision.files(dataset):
        ledger = read_columns(revision, path, VERDICT_SCHEMA.names)
        return {f"data/{one}/{stage}/{FILE}": table for (one, stage), table in by_stage(ledger).items()}
    return {path: read_columns(revision, path, VERDICT_SCHEMA.names) for path in verdict_paths(revision)}


def verdicts_on(ledger: Mapping[str, pa.Table], ids: Iterable[str]) -> dict[str, list[VerdictRow]]:
    """The verdicts on some samples, in order; a sample without any has an empty list."""
    found: dict[str, list[VerdictRow]] = {identifier: [] for identifier in ids}
    wanted = pa.array(sorted(found), pa.string())
    for table in ledger.values():
        for row in verdict_rows(table.filter(pc.is_in(table["id"], wanted))):
            found[row.id].append(row)
    return found


def _origin(path: str) -> tuple[str, str]:
    """Round and stage that a verdict table's path names."""
    parts = PurePosixPath(path).parts
    return (parts[-3], parts[-2]) if len(parts) >= 3 else ("", "")
