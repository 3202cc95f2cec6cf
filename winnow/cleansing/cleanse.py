"""Cleansing by representation: what networks say out of fold, turned into verdicts and a cleaner samples table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.cleansing.neighbour_rule import Rule, judge_labels
from winnow.dataset.images import read_images
from winnow.dataset.samples import SCORE_SCHEMA, class_names, column, label_indices, only_source
from winnow.pictures.contact_sheet import contact_sheet
from winnow.pipeline.files import read_table
from winnow.representation.out_of_fold import Neighbours, Points
from winnow.verdicts.apply import cleansed, spared, verdict_rows
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict
from winnow.verdicts.overrides import Ruling, overruled, removed, rulings_on

SHEET_IMAGES, SHEET_COLUMNS, TILE = 160, 16, 64


@dataclass(frozen=True)
class Cleansed:
    """What came of a cleansing."""

    verdicts: pa.Table  # of every train and val image, copies too
    samples: pa.Table  # that are left
    signals: pa.Table  # a row a source image without a label by people: id, each signal (NaN: silent), support


def cleanse(
    samples: pa.Table,
    near: Neighbours,
    probability: Points,
    scores: Mapping[str, float],
    rule: Rule,
    rulings: Mapping[str, Ruling],
) -> Cleansed:
    """The verdicts and what they leave.

    Args:
        samples: source images and copies, N rows.
        near: neighbours of every row, as rows of ``samples``.
        probability: (N, K) of each class, by classifiers that never saw the image.
        scores: support of the valuation for the label as it stands, by id of a source image; a copy has its source
            image's, and an image without one is judged by the other signals.
        rule: when an image goes.
        rulings: by id, what people said; it holds of the image and its copies whatever the rule says.
    """
    classes, labels, ids = class_names(samples), label_indices(samples), column(samples, "id")
    splits, parents = column(samples, "split"), column(samples, "parent")
    suspects = np.flatnonzero(np.isin(splits, ("train", "val")))  # n rows
    index = near.index[:, suspects, : rule.k]  # (R, n, k)
    voted = labels[index].transpose(1, 0, 2).reshape(len(suspects), -1)  # (n, R k)
    roots = np.where(parents == "", ids, parents)[suspects]
    score = np.array([scores.get(root, np.nan) for root in roots.tolist()], dtype=np.float64)
    source, judged = parents[suspects] == "", samples.take(pa.array(suspects))
    judge = partial(
        judge_labels,
        voted=voted,
        distance=near.distance[:, suspects, 0].mean(axis=0).astype(np.float64),
        classes=classes,
        rule=rule,
        probability=probability[suspects].astype(np.float64),
        copies=~source,
    )
    doubted = judge(labels[suspects], score=score)
    ruled = rulings_on(judged, rulings)
    stand_for_class = source & ~removed(column(judged, "label"), ruled)
    verdicts = spared(
        overruled(doubted, judged, ruled), labels[suspects], np.where(stand_for_class, splits[suspects], "")
    )
    free = ~source & np.array([ruling is None for ruling in ruled], dtype=bool)
    # The valuation spoke of the label before, and of the new one it says nothing.
    verdicts = _copies_along(
        verdicts, labels[suspects], roots, free, lambda new, old: judge(new, score=np.where(old, score, np.nan))
    )
    evidence = [[] if ruling else ids[row].tolist() for row, ruling in zip(index[0], ruled, strict=True)]
    told = verdict_rows(judged, verdicts, classes, evidence)
    columns = {
        "id": ids[suspects],
        "neighbours": (voted == labels[suspects][:, None]).mean(axis=1),
        "classifier": probability[suspects, labels[suspects]],
        "score": score,
        "support": [one.support for one in doubted],
    }
    signals = pa.table(columns).filter(pa.array(source & ~removed(column(judged, "given_label"), ruled)))
    return Cleansed(told, cleansed(samples, told, classes), signals)


def _copies_along(
    verdicts: list[Verdict],
    labels: npt.NDArray[np.int64],
    roots: npt.NDArray[np.str_],
    copies: npt.NDArray[np.bool_],
    judge: Callable[[npt.NDArray[np.int64], npt.NDArray[np.bool_]], list[Verdict]],
) -> list[Verdict]:
    """The verdicts, the copies following their source image.

    One of a dropped image goes with it. One of a relabelled image is judged under the new label: relabelled or dropped.

    Args:
        verdicts: (N,).
        labels: (N,) class indices before.
        roots: (N,) id of the source image that each goes back to.
        copies: (N,) copies that nobody ruled on.
        judge: verdicts from (N,) labels, and (N,) whether it is the label before.
    """
    fate = {root: one for root, one, copy in zip(roots.tolist(), verdicts, copies, strict=True) if not copy}
    gone = [copy and fate[root].action == DROP for root, copy in zip(roots.tolist(), copies, strict=True)]
    new = {root: one.label for root, one in fate.items() if one.action == RELABEL}
    given = np.array([new.get(root, label) for root, label in zip(roots.tolist(), labels, strict=True)], dtype=np.int64)
    renamed = copies & (given != labels)
    again = judge(np.where(renamed, given, labels), ~renamed) if renamed.any() else verdicts
    return [
        _following(before, under_the_new, dropped=dropped, renamed=follows)
        for before, under_the_new, dropped, follows in zip(verdicts, again, gone, renamed.tolist(), strict=True)
    ]


def _following(before: Verdict, under_the_new: Verdict, *, dropped: bool, renamed: bool) -> Verdict:
    """An image's verdict, given whether it is a copy of an image that was dropped or that has another label now."""
    if dropped and before.action == KEEP:
        return replace(before, action=DROP, label=None, reason=f"as its source image; {before.reason}")
    if renamed and under_the_new.action == KEEP:
        return replace(under_the_new, action=RELABEL, reason=f"as its source image; {under_the_new.reason}")
    return under_the_new if renamed else before


def read_scores(path: Path) -> dict[str, float]:
    """The valuation's score of each train and val image, by id."""
    table = read_table(path, SCORE_SCHEMA)
    return dict(zip(table["id"].to_pylist(), table["score"].to_pylist(), strict=True))


def told_counts(verdicts: pa.Table) -> str:
    """What a cleansing did, for its closing line."""
    actions = column(verdicts, "action")
    return f"dropped {(actions == DROP).sum()} and relabelled {(actions == RELABEL).sum()} of {len(actions)} images"


def verdict_sheet(dataset: Path, samples: pa.Table, verdicts: pa.Table) -> bytes:
    """PNG bytes: the source images that were dropped or relabelled, with "from > to" below."""
    source = set(only_source(samples)["id"].to_pylist())
    rows = [row for row in verdicts.to_pylist() if row["action"] != KEEP and row["id"] in source][:SHEET_IMAGES]
    captions = [f"{row['label_before']} > {row['label_after'] or '-'}" for row in rows]
    pictures = read_images(dataset, [row["id"] for row in rows])
    return contact_sheet(list(pictures), captions, columns=SHEET_COLUMNS, tile=TILE)
