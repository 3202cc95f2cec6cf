"""What a finished run knows of each image, read once for the review: labels, signals, neighbours, verdicts.

Labels "by the pipeline" are those of the dataset that the gate accepted, to which overrides are applied afterwards; so
they stay as they are while people decide, and with them the queue's order and the random sample.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import QUALITY_SCHEMA, class_names, labels_by_id, only_source, read_samples
from winnow.pipeline.files import read_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.params import load_params
from winnow.representation.predictions import probabilities_by_id
from winnow.verdicts.fates import verdicts_on
from winnow.verdicts.ledger import DECIDED, VerdictRow, read_ledger

PREPARED, REFINED, TEST = "data/prepared", "data/refined", "data/test"
REFINE, LABEL_BOOK, TEST_SET = "refine", "label_book", "test"  # tasks
NEIGHBOURS_SHOWN = 8
COMPARED = 16  # nearest images of each repeat, from which those shown are taken
NEIGHBOURS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("neighbours", pa.list_(pa.list_(pa.string())), nullable=False),
        pa.field("distances", pa.list_(pa.list_(pa.float32())), nullable=False),
    ]
)

Near = tuple[tuple[str, float], ...]  # ids of neighbours with their cosine similarity, nearest first


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the source."""

    id: str
    name: str
    split: str
    given: str  # label as delivered
    group: str | None  # of near-duplicates; None for an image alone
    folder: str  # of the dataset with its picture
    piped: str | None  # label by the pipeline, without overrides; None: dropped
    pixel_hash: str  # of the picture, as a decision names it
    quality: float | None = None  # label quality of the label as delivered, in [0, 1], 0.5 the threshold
    first: tuple[float, ...] | None = None  # (K,) probabilities by the first ensemble, out of fold
    second: tuple[float, ...] | None = None  # (K,) by the second one
    neighbours: Near = ()

    @property
    def task(self) -> str:
        """The task in which it is asked about."""
        return {"label_book": LABEL_BOOK, "test": TEST_SET}.get(self.split, REFINE)


@dataclass(frozen=True)
class Records:
    """A run, as the review sees it."""

    classes: Sequence[str]
    images: Mapping[str, Image]  # by id: train, val, label book and test
    missing: Sequence[str] = ()  # outputs of the run that are not there; the queue does without them
    is_accepted: bool = True  # whether the labels by the pipeline are known without people's overrides
    decided: Collection[str] = frozenset()  # ids of images on which the run had people's decisions as input


@dataclass(frozen=True)
class Outcome:
    """What became of the images of train, val and label book, overrides applied."""

    labels: Mapping[str, str]  # by id the label in data/refined; dropped images are missing
    verdicts: Mapping[str, Sequence[VerdictRow]]  # by id, in order


def read_records(root: Path) -> Records:
    """The records of the run in a repository.

    Raises:
        UserError: the dataset as prepared, or both the accepted and the refined one, are missing, or a file is damaged.
    """
    run = root / "data" / load_params("refined.round", str, root / "params.yaml")
    prepared = only_source(read_samples(root / PREPARED))
    there, missing = _optional(root, run)
    accepted = there.get("accepted", root / REFINED)
    piped = labels_by_id(only_source(read_samples(accepted)))
    images = _images(prepared, PREPARED, piped, _signals(there, prepared["id"].to_pylist(), len(class_names(prepared))))
    if (root / TEST / "samples.parquet").exists():
        test = only_source(read_samples(root / TEST))
        images |= _images(test, TEST, labels_by_id(test), _Signals())
    ledger = read_ledger(accepted)
    decided = ledger.filter(pc.equal(ledger["stage"], DECIDED))["id"].to_pylist()
    return Records(class_names(prepared), images, missing, "accepted" in there, frozenset(decided))


def read_outcome(root: Path, ids: Iterable[str]) -> Outcome:
    """What became of the images, as the refined dataset has it now.

    Args:
        root: the repository.
        ids: of the images.

    Raises:
        UserError: the refined dataset is missing, or damaged.
    """
    labels = labels_by_id(only_source(read_samples(root / REFINED)))
    return Outcome(labels, verdicts_on(read_ledger(root / REFINED), ids))


@dataclass(frozen=True)
class _Signals:
    """By id, what the round measured."""

    quality: Mapping[str, float] = field(default_factory=dict)
    first: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    second: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    neighbours: Mapping[str, Near] = field(default_factory=dict)


def _optional(root: Path, run: Path) -> tuple[dict[str, Path], list[str]]:
    """The outputs of the round that are there, by what they are, and the paths of those that are not."""
    wanted = {
        "accepted": run / "gate/dataset",
        "quality": run / "value/scores.parquet",
        "first": run / "ensemble/classes.parquet",
        "second": run / "embed/classes.parquet",
        "neighbours": run / "embed/neighbours.parquet",
    }
    there = {name: path for name, path in wanted.items() if path.exists()}
    return there, [str(path.relative_to(root)) for name, path in wanted.items() if name not in there]


def _signals(there: Mapping[str, Path], ids: Collection[str], classes: int) -> _Signals:
    quality: dict[str, float] = {}
    if "quality" in there:
        table = read_table(there["quality"], QUALITY_SCHEMA)
        quality = dict(zip(table["id"].to_pylist(), table["label_quality"].to_pylist(), strict=True))
    first, second = (_probabilities(there[name], classes) if name in there else {} for name in ("first", "second"))
    near = _neighbours(there["neighbours"], ids) if "neighbours" in there else {}
    return _Signals(quality, first, second, near)


def _probabilities(path: Path, classes: int) -> dict[str, tuple[float, ...]]:
    """By id the probabilities of the classes, without images of which they are unknown."""
    ids, values = probabilities_by_id(path)
    if values.shape[1] != classes:
        raise UserError(f"{path} has {values.shape[1]} classes, the dataset has {classes}; run `dvc repro`")
    known = np.asarray(np.isfinite(values).all(axis=1))  # (N,)
    return {one: tuple(row) for one, row, good in zip(ids, values.tolist(), known.tolist(), strict=True) if good}


def _neighbours(path: Path, ids: Collection[str]) -> dict[str, Near]:
    """By id the nearest images over the repeats, by their mean similarity; those of all repeats first."""
    table = read_table(path, NEIGHBOURS_SCHEMA)
    table = table.filter(pc.is_in(table["id"], pa.array(sorted(ids), pa.string())))
    found: dict[str, Near] = {}
    for row in table.to_pylist():
        similar: dict[str, list[float]] = {}
        for names, distances in zip(row["neighbours"], row["distances"], strict=True):
            for name, distance in zip(names[:COMPARED], distances[:COMPARED], strict=True):
                similar.setdefault(name, []).append(1 - distance**2 / 2)  # of unit vectors
        ranked = sorted(similar.items(), key=lambda pair: (-len(pair[1]), -sum(pair[1]) / len(pair[1]), pair[0]))
        found[row["id"]] = tuple((name, sum(values) / len(values)) for name, values in ranked[:NEIGHBOURS_SHOWN])
    return found


def _images(samples: pa.Table, folder: str, piped: Mapping[str, str], signals: _Signals) -> dict[str, Image]:
    columns = ["id", "name", "split", "given_label", "group", "pixel_hash"]
    rows = samples.select(columns).to_pylist()
    members: dict[str, int] = {}
    for row in rows:
        members[row["group"]] = members.get(row["group"], 0) + 1
    return {
        row["id"]: Image(
            id=row["id"],
            name=row["name"],
            split=row["split"],
            given=row["given_label"],
            group=row["group"] if row["group"] and members[row["group"]] > 1 else None,
            folder=folder,
            piped=piped.get(row["id"]),
            pixel_hash=row["pixel_hash"],
            quality=signals.quality.get(row["id"]),
            first=signals.first.get(row["id"]),
            second=signals.second.get(row["id"]),
            neighbours=signals.neighbours.get(row["id"], ()),
        )
        for row in rows
    }
