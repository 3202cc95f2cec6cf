"""Verdicts made into a dataset: who goes, who changes the label, and the copies that follow their source image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import LEAST, class_names, column, only_source, samples_table
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, VERDICT_SCHEMA, Verdict
from winnow.verdicts.overrides import Ruling, rulings_on

SPARED = ", but is one of the last of its class here"


def spared(verdicts: Sequence[Verdict], labels: npt.NDArray[np.int64], splits: npt.NDArray[np.str_]) -> list[Verdict]:
    """The verdicts with ``LEAST`` images of every class kept in every split that had them: the best supported.

    Args:
        verdicts: a row an image.
        labels: (N,) class indices before.
        splits: (N,) split names; "" for images that need not stand for their class.
    """
    result = list(verdicts)
    for split in sorted(set(splits.tolist()) - {""}):
        for label in np.unique(labels[splits == split]).tolist():
            rows = np.flatnonzero((splits == split) & (labels == label)).tolist()
            going = sorted(
                (row for row in rows if result[row].action != KEEP), key=lambda row: result[row].support, reverse=True
            )
            for row in going[: max(0, LEAST[split] - (len(rows) - len(going)))]:
                result[row] = Verdict(KEEP, label, result[row].reason + SPARED, result[row].support)
    return result


def verdict_rows(
    samples: pa.Table, verdicts: Sequence[Verdict], classes: Sequence[str], evidence: Sequence[Sequence[str]]
) -> pa.Table:
    """The verdict table: what was dropped or relabelled first, the least supported on top."""
    rows = [
        {
            "id": sample["id"],
            "action": verdict.action,
            "label_before": sample["label"],
            "label_after": None if verdict.label is None else classes[verdict.label],
            "reason": verdict.reason,
            "score": verdict.support,
            "evidence": list(ids),
        }
        for sample, verdict, ids in zip(samples.select(["id", "label"]).to_pylist(), verdicts, evidence, strict=True)
    ]
    order = {DROP: 0, RELABEL: 1, KEEP: 2}
    rows.sort(key=lambda row: (order[row["action"]], row["score"]))
    return pa.Table.from_pylist(rows, schema=VERDICT_SCHEMA)


def cleansed(samples: pa.Table, verdicts: pa.Table, classes: Sequence[str]) -> pa.Table:
    """The samples after the verdicts.

    A dropped image takes its copies along, a relabelled one gives them its new label.

    Args:
        samples: any, copies beside their source images.
        verdicts: of some of them.
        classes: K names.
    """
    gone = set(_ids(verdicts, DROP))
    new = dict(
        zip(*(verdicts.filter(_is(verdicts, RELABEL))[name].to_pylist() for name in ("id", "label_after")), strict=True)
    )
    kept: list[dict[str, Any]] = []
    for row in samples.to_pylist():
        root = row["parent"] or row["id"]
        if row["id"] not in gone and root not in gone:
            kept.append({**row, "label": new.get(root, row["label"])})
    return samples_table(kept, classes)


def obeyed(samples: pa.Table, rulings: Mapping[str, Ruling]) -> tuple[pa.Table, pa.Table]:
    """The samples with the rulings carried out and nothing else, and the verdict table that says so, without scores.

    Args:
        samples: any, copies beside their source images.
        rulings: by id of a source image; those on images that are gone already say nothing here.
    """
    if not rulings:
        return samples, VERDICT_SCHEMA.empty_table()
    source = only_source(samples)
    rows = [
        {
            "id": sample["id"],
            "action": ruling.action_on(sample["label"]),
            "label_before": sample["label"],
            "label_after": ruling.label,
            "reason": ruling.reason,
            "evidence": [],
        }
        for sample, ruling in zip(source.to_pylist(), rulings_on(source, rulings), strict=True)
        if ruling is not None
    ]
    told = pa.Table.from_pylist(rows, schema=VERDICT_SCHEMA)
    return cleansed(samples, told, class_names(samples)), told


def _is(verdicts: pa.Table, action: str) -> pa.Array:
    return pa.array(column(verdicts, "action") == action)


def _ids(verdicts: pa.Table, action: str) -> list[str]:
    ids: list[str] = verdicts.filter(_is(verdicts, action))["id"].to_pylist()
    return ids
