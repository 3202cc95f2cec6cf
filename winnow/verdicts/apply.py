"""Verdicts applied to a dataset: which images are dropped or relabelled; copies follow their source image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import LEAST, class_names, column, label_indices, of_classes, only_source
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, VERDICT_SCHEMA, Verdict
from winnow.verdicts.overrides import Override, apply_overrides, taken_away
from winnow.verdicts.states import combined

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
    order = np.lexsort((labels, splits))  # (N,) the images of a class in a split follow one another, in table order
    starts = np.flatnonzero((np.diff(labels[order]) != 0) | (splits[order][1:] != splits[order][:-1])) + 1
    for rows in np.split(order, starts):
        if not len(rows) or not splits[rows[0]]:
            continue
        changed = sorted(
            (row for row in rows.tolist() if result[row].action != KEEP),
            key=lambda row: result[row].support,
            reverse=True,
        )
        for row in changed[: max(0, LEAST[str(splits[rows[0]])] - (len(rows) - len(changed)))]:
            label = int(labels[row])
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
    order = {DROP: 0, RELABEL: 1, KEEP: 2}
    rows = sorted(range(len(verdicts)), key=lambda row: (order[verdicts[row].action], verdicts[row].support))  # (N,)
    judged = samples.select(["id", "label"]).take(pa.array(rows, pa.int64()))
    placed = [verdicts[row] for row in rows]
    columns = {
        "id": judged["id"],
        "round": pa.repeat(round_name, len(rows)),
        "stage": pa.repeat(stage, len(rows)),
        "action": [one.action for one in placed],
        "label_before": judged["label"],
        "label_after": [None if one.label is None else classes[one.label] for one in placed],
        "reason": [one.reason for one in placed],
        "support": [one.support for one in placed],
        "evidence": [list(evidence[row]) for row in rows],
        "by": [one.by for one in placed],
    }
    return pa.table(columns, schema=VERDICT_SCHEMA).combine_chunks()


def apply_verdicts(samples: pa.Table, verdicts: pa.Table, classes: Sequence[str]) -> pa.Table:
    """The samples after the verdicts.

    The copies of a dropped image are dropped, those of a relabelled one get its new label.

    Args:
        samples: any, copies beside their source images.
        verdicts: of some of them.
        classes: K names.
    """
    drops, relabels = (
        verdicts.filter(pc.equal(verdicts["action"], action)).select(["id", "label_after"])
        for action in (DROP, RELABEL)
    )
    roots = pc.if_else(_is_copy(samples), samples["parent"], samples["id"])
    lost = pc.or_(*(pc.is_in(column, combined(drops["id"])) for column in (samples["id"], roots)))
    left, roots = samples.filter(pc.invert(lost)), roots.filter(pc.invert(lost))
    given = combined(relabels["label_after"]).take(pc.index_in(combined(roots), combined(relabels["id"])))
    place = left.column_names.index("label")
    return of_classes(left.set_column(place, "label", pc.coalesce(given, combined(left["label"]))), classes)


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
    source = only_source(samples).select(["id", "label"])
    source = source.filter(pc.is_in(source["id"], pa.array(list(overrides), pa.string())))
    rows = [
        {
            "id": sample["id"],
            "round": round_name,
            "stage": stage,
            "action": overrides[sample["id"]].action_on(sample["label"]),
            "label_before": sample["label"],
            "label_after": overrides[sample["id"]].label,
            "reason": overrides[sample["id"]].reason,
            "evidence": [],
            "by": overrides[sample["id"]].by,
        }
        for sample in source.to_pylist()
    ]
    table = pa.Table.from_pylist(rows, schema=VERDICT_SCHEMA)
    return apply_verdicts(samples, table, class_names(samples)), table


def _is_copy(samples: pa.Table) -> pa.ChunkedArray:
    """Whether each sample is an augmented copy."""
    return pc.fill_null(pc.not_equal(samples["parent"], ""), False)
