"""Cleansing by representation: out-of-fold predictions turned into verdicts and a cleaner samples table."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.cleansing.neighbour_rule import Rule, judge_by_neighbours
from winnow.cleansing.planted_rule import Estimate, judge_by_planted, within_estimate
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import QUALITY_SCHEMA, class_names, column, label_indices, only_source
from winnow.dataset.streaming import read_thumbnails
from winnow.pictures.contact_sheet import contact_sheet
from winnow.pipeline.files import Columns, read_table, write_bytes, write_json, write_table
from winnow.representation.planted_faults import Planted
from winnow.representation.predictions import Neighbours, Points
from winnow.representation.support import Support
from winnow.verdicts.apply import apply_verdicts, settle, verdict_table
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, VERDICT_SCHEMA, Verdict
from winnow.verdicts.overrides import Override, overrides_on, taken_away

SIGNALS: Columns = {
    "id": (pa.string(), "of a train or val image that no override drops or relabels"),
    "neighbours": (pa.float64(), "share of its neighbours that have its label"),
    "classifier": (pa.float32(), "out-of-fold probability of its label; NaN where no classifier was trained on it"),
    "label_quality": (pa.float64(), "of stage value: support by the ensemble of the round; NaN for a copy"),
    "support": (pa.float64(), "of its label, by which the verdict was given"),
}
SHEET_IMAGES, SHEET_COLUMNS, TILE = 160, 16, 64


@dataclass(frozen=True)
class Cleansed:
    """The result of a cleansing."""

    verdicts: pa.Table  # of every train and val image, copies too
    samples: pa.Table  # that are left
    signals: pa.Table  # one row per source image that no override relabels: id, each signal (NaN: unknown), support
    estimate: Estimate


@dataclass(frozen=True)
class ByPlanted:
    """What the rule on planted faults needs."""

    planted: Planted  # rows as those of the samples
    settings: Support


def cleanse(
    samples: pa.Table,
    near: Neighbours,
    probability: Points,
    label_quality: Mapping[str, float],
    rule: Rule,
    overrides: Mapping[str, Override],
    *,
    round_name: str,
    stage: str,
    by_planted: ByPlanted | None = None,
    renamed: Collection[str] = (),
) -> Cleansed:
    """The verdicts, and the samples that they leave.

    Args:
        samples: source images and copies, N rows.
        near: neighbours of every row, as rows of ``samples``.
        probability: (N, K) of each class, by classifiers that were not trained on the image.
        label_quality: of stage value, by id of a source image; it is written beside the other signals.
        rule: when an image is dropped or relabelled; of the planted rule, the k of the neighbours that are evidence.
        overrides: by id; each applies to the image and its copies, whatever the verdict of the rule.
        round_name: for the verdict table.
        stage: for the verdict table.
        by_planted: judge by planted faults, and touch no more than a multiple of the estimate; None: by neighbours.
        renamed: ids of source images that earlier verdicts of the round gave their labels.
    """
    classes, labels = class_names(samples), label_indices(samples)
    ids, parents = column(samples, "id"), column(samples, "parent")
    suspects = np.flatnonzero(np.isin(column(samples, "split"), ("train", "val")))  # n rows
    index = near.index[:, suspects, : rule.k]  # (R, n, k)
    voted = labels[index].transpose(1, 0, 2).reshape(len(suspects), -1)  # (n, R k)
    roots = np.where(parents == "", ids, parents)[suspects]
    quality = np.array([label_quality.get(root, np.nan) for root in roots.tolist()], dtype=np.float64)
    source, judged = parents[suspects] == "", samples.take(pa.array(suspects))
    newly = source & np.isin(ids[suspects], list(renamed))  # confirmed or not, they do not count as found here

    def judge(new: npt.NDArray[np.int64]) -> list[Verdict]:
        """Verdicts under (n,) labels."""
        if by_planted is None:
            distance = near.distance[:, suspects, 0].mean(axis=0).astype(np.float64)
            return judge_by_neighbours(new, voted, distance, classes=classes, rule=rule, copies=~source)
        return judge_by_planted(
            new,
            suspects,
            planted=by_planted.planted,
            probability=probability,
            classes=classes,
            settings=by_planted.settings,
            copies=~source,
            renamed=newly,
        )

    by_rule = judge(labels[suspects])
    judged_alone, estimate = _within(by_rule, labels[suspects], source & ~newly, by_planted)
    judged_alone = [old if was else kept for old, kept, was in zip(by_rule, judged_alone, newly, strict=True)]
    overridden = overrides_on(judged, overrides)
    free = ~source & np.array([one is None for one in overridden], dtype=bool)
    verdicts = _copies_along(settle(judged_alone, judged, overridden), labels[suspects], roots, free, judge)
    evidence = [[] if one else ids[row].tolist() for row, one in zip(index[0], overridden, strict=True)]
    table = verdict_table(judged, verdicts, classes, evidence, round_name=round_name, stage=stage)
    signals = pa.table(
        {
            "id": ids[suspects],
            "neighbours": (voted == labels[suspects][:, None]).mean(axis=1),
            "classifier": probability[suspects, labels[suspects]],
            "label_quality": quality,
            "support": [one.support for one in judged_alone],
        }
    )
    shown = source & ~taken_away(column(judged, "given_label"), overridden)
    return Cleansed(table, apply_verdicts(samples, table, classes), signals.filter(pa.array(shown)), estimate)


def _within(
    verdicts: list[Verdict],
    labels: npt.NDArray[np.int64],
    source: npt.NDArray[np.bool_],
    by_planted: ByPlanted | None,
) -> tuple[list[Verdict], Estimate]:
    """The verdicts within the estimate; the rule on neighbours has none."""
    planted, stop = (None, np.inf) if by_planted is None else (by_planted.planted, by_planted.settings.stop)
    return within_estimate(verdicts, labels, planted=planted, counted=source, stop=stop)


def _copies_along(
    verdicts: list[Verdict],
    labels: npt.NDArray[np.int64],
    roots: npt.NDArray[np.str_],
    copies: npt.NDArray[np.bool_],
    judge: Callable[[npt.NDArray[np.int64]], list[Verdict]],
) -> list[Verdict]:
    """The verdicts, the copies following their source image.

    Copies of a dropped image are dropped. Those of a relabelled image are judged under its new label, and relabelled or
    dropped.

    Args:
        verdicts: (N,).
        labels: (N,) class indices before.
        roots: (N,) id of the source image of each.
        copies: (N,) copies without an override.
        judge: verdicts from (N,) labels.
    """
    fate = {root: one for root, one, copy in zip(roots.tolist(), verdicts, copies, strict=True) if not copy}
    lost = [copy and fate[root].action == DROP for root, copy in zip(roots.tolist(), copies, strict=True)]
    new = {root: one.label for root, one in fate.items() if one.action == RELABEL}
    given = np.array([new.get(root, label) for root, label in zip(roots.tolist(), labels, strict=True)], dtype=np.int64)
    renamed = copies & (given != labels)
    again = judge(np.where(renamed, given, labels)) if renamed.any() else verdicts
    return [
        _following(before, under_the_new, dropped=dropped, renamed=follows)
        for before, under_the_new, dropped, follows in zip(verdicts, again, lost, renamed.tolist(), strict=True)
    ]


def _following(before: Verdict, under_the_new: Verdict, *, dropped: bool, renamed: bool) -> Verdict:
    """An image's verdict, given whether it is a copy of an image that was dropped or that has another label now."""
    if dropped and before.action == KEEP:
        return replace(before, action=DROP, label=None, reason=f"as its source image; {before.reason}")
    if renamed and under_the_new.action == KEEP:
        return replace(under_the_new, action=RELABEL, reason=f"as its source image; {under_the_new.reason}")
    return under_the_new if renamed else before


def read_label_quality(path: Path) -> dict[str, float]:
    """The label quality of each train and val image, by id."""
    table = read_table(path, QUALITY_SCHEMA)
    return dict(zip(table["id"].to_pylist(), table["label_quality"].to_pylist(), strict=True))


def relabelled(path: Path) -> list[str]:
    """Ids of the images, copies too, to which a verdict table gives another label."""
    table = read_table(path, VERDICT_SCHEMA)
    ids: list[str] = table.filter(pa.array(column(table, "action") == RELABEL))["id"].to_pylist()
    return ids


def counts_text(verdicts: pa.Table) -> str:
    """What a cleansing did, for its closing line."""
    actions = column(verdicts, "action")
    return f"dropped {(actions == DROP).sum()} and relabelled {(actions == RELABEL).sum()} of {len(actions)} images"


def write_cleansed(
    result: Cleansed,
    dataset: Path,
    samples: pa.Table,
    *,
    cleansed: Path,
    verdicts: Path,
    estimate: Path,
    sheet: Path,
) -> None:
    """Write what a cleansing comes to: the dataset that is left, the verdicts, the estimate, the sheet for people.

    Args:
        result: of ``cleanse``.
        dataset: that was cleansed.
        samples: its rows.
        cleansed: folder of the dataset that is left.
        verdicts: table.
        estimate: JSON.
        sheet: PNG.
    """
    write_table(verdicts, result.verdicts)
    write_json(estimate, result.estimate.figures())
    write_dataset(cleansed, result.samples, shards_from=[dataset])
    write_bytes(sheet, verdict_sheet(dataset, samples, result.verdicts))


def verdict_sheet(dataset: Path, samples: pa.Table, verdicts: pa.Table) -> bytes:
    """PNG bytes: the source images that were dropped or relabelled, with "from > to" below."""
    shown = (column(verdicts, "action") != KEEP) & np.isin(column(verdicts, "id"), column(only_source(samples), "id"))
    rows = verdicts.take(pa.array(np.flatnonzero(shown)[:SHEET_IMAGES])).to_pylist()
    captions = [f"{row['label_before']} > {row['label_after'] or '-'}" for row in rows]
    pictures = read_thumbnails(dataset, [row["id"] for row in rows])
    return contact_sheet(list(pictures.values()), captions, columns=SHEET_COLUMNS, tile=TILE)
