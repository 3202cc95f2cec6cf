"""Verdicts applied to a dataset: which images are dropped or relabelled; copies follow their source image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import LEAST, class_names, column, label_indices, only_source, samples_table
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, VERDICT_SCHEMA, Verdict
from winnow.verdicts.overrides import Override, apply_overrides, overrides_on, taken_away

LAST_OF_CLASS = ", but is one of the last of its class here"


def keep_minimum(
    verdicts: Sequence[Verdict], labels: npt.NDArray[np.int64], splits: npt.NDArray[np.str_]
) -> list[Verdict]:
    """The verdicts with ``LEAST`` images of every class kept in every split that had them: the best supported.

    Args:
        verdicts: one per image.
        labels: (N,) class indices before.
        splits: (N,) split names; "" for images that do not count for the minimum.
    """
    result = list(verdicts)
    for split in sorted(set(splits.tolist()) - {""}):
        for label in np.unique(labels[splits == split]).tolist():
            rows = np.flatnonzero((splits == split) & (labels == label)).tolist()
            changed = sorted(
                (row for row in rows if result[row].action != KEEP), key=lambda row: result[row].support, reverse=True
            )
            for row in changed[: max(0, LEAST[split] - (len(rows) - len(changed)))]:
                result[row] = replace(result[row], action=KEEP, label=label, reason=result[row].reason + LAST_OF_CLASS)
    return result


def settle(verdicts: Sequence[Verdict], samples: pa.Table, overridden: Sequence[Override | None]) -> list[Verdict]:
    """The verdicts with overrides applied and the minimum of every class kept.

    Copies, and images that an override takes away, do not stand for their class.

    Args:
        verdicts: (N,) of the stage's rule.
        samples: (N,) rows that they are on.
        overridden: (N,).
    """
    standing = (column(samples, "parent") == "") & ~taken_away(column(samples, "label"), overridden)  # (N,)
    splits = np.where(standing, column(samples, "split"), "")
    return keep_minimum(apply_overrides(verdicts, samples, overridden), label_indices(samples), splits)


def verdict_table(
    samples: pa.Table,
    verdicts: Sequence[Verdict],
    classes: Sequence[str],
    evidence: Sequence[Sequence[str]],
    *,
    round_name: str,
    stage: str,
) -> pa.Table:
    """The verdict table of a stage: what was dropped or relabelled first, the least supported on top."""
    rows = [
        {
            "id": sample["id"],
            "round": round_name,
            "stage": stage,
            "action": verdict.action,
            "label_before": sample["label"],
            "label_after": None if verdict.label is None else classes[verdict.label],
            "reason": verdict.reason,
            "support": verdict.support,
            "evidence": list(ids),
            "by": verdict.by,
        }
        for sample, verdict, ids in zip(samples.select(["id", "label"]).to_pylist(), verdicts, evidence, strict=True)
    ]
    order = {DROP: 0, RELABEL: 1, KEEP: 2}
    rows.sort(key=lambda row: (order[row["action"]], row["support"]))
    return pa.Table.from_pylist(rows, schema=VERDICT_SCHEMA)


def apply_verdicts(samples: pa.Table, verdicts: pa.Table, classes: Sequence[str]) -> pa.Table:
    """The samples after the verdicts.

    The copies of a dropped image are dropped, those of a relabelled one get its new label.

    Args:
        samples: any, copies beside their source images.
        verdicts: of some of them.
        classes: K names.
    """
    dropped = set(_ids(verdicts, DROP))
    new = dict(
        zip(*(verdicts.filter(_is(verdicts, RELABEL))[name].to_pylist() for name in ("id", "label_after")), strict=True)
    )
    kept: list[dict[str, Any]] = []
    for row in samples.to_pylist():
        root = row["parent"] or row["id"]
        if row["id"] not in dropped and root not in dropped:
            kept.append({**row, "label": new.get(root, row["label"])})
    return samples_table(kept, classes)


def with_overrides(
    samples: pa.Table, overrides: Mapping[str, Override], *, round_name: str, stage: str
) -> tuple[pa.Table, pa.Table]:
    """The samples with the overrides applied and nothing else, and their verdict table, without support.

    Args:
        samples: any, copies beside their source images.
        overrides: by id of a source image; those on images that were dropped before change nothing.
        round_name: for the verdict table.
        stage: for the verdict table.
    """
    if not overrides:
        return samples, VERDICT_SCHEMA.empty_table()
    source = only_source(samples)
    rows = [
        {
            "id": sample["id"],
            "round": round_name,
            "stage": stage,
            "action": override.action_on(sample["label"]),
            "label_before": sample["label"],
            "label_after": override.label,
            "reason": override.reason,
            "evidence": [],
            "by": override.by,
        }
        for sample, override in zip(source.to_pylist(), overrides_on(source, overrides), strict=True)
        if override is not None
    ]
    table = pa.Table.from_pylist(rows, schema=VERDICT_SCHEMA)
    return apply_verdicts(samples, table, class_names(samples)), table


def _is(verdicts: pa.Table, action: str) -> pa.Array:
    return pa.array(column(verdicts, "action") == action)


def _ids(verdicts: pa.Table, action: str) -> list[str]:
    ids: list[str] = verdicts.filter(_is(verdicts, action))["id"].to_pylist()
    return ids
