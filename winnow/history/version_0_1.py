"""Revisions of version 0.1: what it called the datasets, and its verdict tables with the columns of today."""

import re
from pathlib import PurePosixPath

import pyarrow as pa

from winnow.dataset.samples import column
from winnow.verdicts.decision_rows import UNNAMED
from winnow.verdicts.ledger import PIPELINE

# Datasets below data/<round>/, and what version 0.1 called them.
RENAMED = {
    "cleanse_influence/dataset": "influenced",
    "augment/random": "augmented_random",
    "augment/policy": "augmented",
    "augment/inverted": "augmented_inverted",
    "augment/affine": "augmented_affine",
    "cleanse_neighbours/dataset": "neighboured",
    "augment_edge_cases/dataset": "edge_augmented",
    "cleanse_final/dataset": "refined",
    "gate/dataset": "accepted",
}


OVERRIDE = re.compile(
    "override(?: by (?P<name>.*?))?(?:: .*)?", re.DOTALL
)  # the reason of a verdict that a person gave


def other_name(path: str) -> str | None:
    """The older or newer name of the dataset that is, or that holds the samples table of, a path; None without one."""
    found = re.fullmatch(r"(data/[^/]+/)(.+?)(/samples\.parquet)?", path)
    names = RENAMED | {old: new for new, old in RENAMED.items()}
    return f"{found[1]}{names[found[2]]}" if found and found[2] in names else None


def modern_verdicts(table: pa.Table, path: str) -> pa.Table:
    """A verdict table with the columns of today; one that has them stays as it is.

    Version 0.1 has ``score`` for ``support``, names the person of an override in the reason alone, and round and stage
    in ledgers alone.

    Args:
        table: as read.
        path: a ledger, or data/<round>/<stage>/verdicts.parquet.
    """
    if "score" not in table.column_names or "support" in table.column_names:
        return table
    table = table.rename_columns({"score": "support"})
    for name, part in (("round", -3), ("stage", -2)):
        if name not in table.column_names:
            table = table.append_column(name, pa.array([PurePosixPath(path).parts[part]] * table.num_rows, pa.string()))
    if "reason" not in table.column_names:
        return table
    overrides = [OVERRIDE.fullmatch(reason) for reason in column(table, "reason").tolist()]
    by = [PIPELINE if found is None else found["name"] or UNNAMED for found in overrides]
    return table.append_column("by", pa.array(by, pa.string()))
