"""Cleansing by representation: what networks say out of fold, turned into verdicts and a cleaner samples table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.cleansing import cleansed, spared, verdict_rows
from winnow.contact_sheet import contact_sheet
from winnow.dataset import SCORE_SCHEMA, class_names, column, label_indices, only_source, read_images
from winnow.embedding import Neighbours, Points
from winnow.neighbours import DROP, KEEP, RELABEL, Rule, judge_labels
from winnow.plane_view import plane_view
from winnow.rulings import Ruling, overruled, removed, rulings_on
from winnow.stage import UserError, read_table

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
    doubted = judge_labels(
        labels[suspects],
        voted,
        near.distance[:, suspects, 0].mean(axis=0).astype(np.float64),
        classes=classes,
        rule=rule,
        probability=probability[suspects].astype(np.float64),
        score=score,
        copies=parents[suspects] != "",
    )
    source, judged = parents[suspects] == "", samples.take(pa.array(suspects))
    ruled = rulings_on(judged, rulings)
    stand_for_class = source & ~removed(column(judged, "label"), ruled)
    verdicts = spared(
        overruled(doubted, judged, ruled), labels[suspects], np.where(stand_for_class, splits[suspects], "")
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


def read_scores(path: Path) -> dict[str, float]:
    """The valuation's score of each train and val image, by id."""
    table = read_table(path, SCORE_SCHEMA)
    return dict(zip(table["id"].to_pylist(), table["score"].to_pylist(), strict=True))


def told_counts(verdicts: pa.Table) -> str:
    """What a cleansing did, for its closing line."""
    actions = column(verdicts, "action")
    return f"dropped {(actions == DROP).sum()} and relabelled {(actions == RELABEL).sum()} of {len(actions)} images"


def read_neighbours(path: Path, samples: pa.Table) -> Neighbours:
    """The neighbours that embed found, as rows of the samples.

    Raises:
        UserError: they are those of another dataset.
    """
    table = read_table(path, columns=["id", "neighbours", "distances"])
    ids = samples["id"].to_pylist()
    if table["id"].to_pylist() != ids:
        raise UserError(f"{path} is about other images than the dataset holds; run `dvc repro`")
    row_of = {identifier: row for row, identifier in enumerate(ids)}
    try:
        by_image = [[[row_of[one] for one in repeat] for repeat in rows] for rows in table["neighbours"].to_pylist()]
    except KeyError as error:
        raise UserError(f"{path} names the image {error}, which the dataset lacks; run `dvc repro`") from None
    distance = np.array(table["distances"].to_pylist(), dtype=np.float32)
    return Neighbours(np.array(by_image, dtype=np.int64).transpose(1, 0, 2), distance.transpose(1, 0, 2))


def read_probabilities(path: Path, samples: pa.Table) -> Points:
    """(N, K) what embed's classifiers say of the samples.

    Raises:
        UserError: it is about another dataset.
    """
    table = read_table(path, columns=["id", "probability"])
    probability = np.array(table["probability"].to_pylist(), dtype=np.float32)
    if table["id"].to_pylist() != samples["id"].to_pylist() or probability.shape[1:] != (len(class_names(samples)),):
        raise UserError(f"{path} is about other images or classes than the dataset holds; run `dvc repro`")
    return probability


def verdict_sheet(dataset: Path, samples: pa.Table, verdicts: pa.Table) -> bytes:
    """PNG bytes: the source images that were dropped or relabelled, with "from > to" below."""
    source = set(only_source(samples)["id"].to_pylist())
    rows = [row for row in verdicts.to_pylist() if row["action"] != KEEP and row["id"] in source][:SHEET_IMAGES]
    captions = [f"{row['label_before']} > {row['label_after'] or '-'}" for row in rows]
    pictures = read_images(dataset, [row["id"] for row in rows])
    return contact_sheet(list(pictures), captions, columns=SHEET_COLUMNS, tile=TILE)


def plane_sheet(dataset: Path, samples: pa.Table, verdicts: pa.Table, embeddings: pa.Table) -> bytes:
    """PNG bytes: the plane of the source images that were judged, what was dropped or relabelled marked."""
    source = set(only_source(samples)["id"].to_pylist())
    told = {row["id"]: row for row in verdicts.to_pylist() if row["id"] in source}
    table = embeddings.filter(pa.array(np.isin(column(embeddings, "id"), list(told))))
    ids = table["id"].to_pylist()
    return plane_view(
        table["x"].to_numpy(),
        table["y"].to_numpy(),
        [told[identifier]["label_before"] for identifier in ids],
        class_names(samples),
        [told[identifier]["label_after"] for identifier in ids],
        list(read_images(dataset, ids)),
    )
