"""What a finished run knows of each image, read once for the review: labels, signals, neighbours, verdicts.

Labels "by the pipeline" are those of the dataset that the gate accepted, to which overrides are applied afterwards; so
they stay as they are while people decide, and with them the queue's order and the random sample.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import QUALITY_SCHEMA, class_names, labels_by_id, only_source, read_samples
from winnow.pipeline.files import read_table
from winnow.pipeline.params import load_params
from winnow.review.signals import Guess, Labels, Near, read_guesses, read_near
from winnow.verdicts.ledger import DECIDED, VerdictRow, read_ledger, verdict_rows

PREPARED, REFINED, TEST = "data/prepared", "data/refined", "data/test"
REFINE, LABEL_BOOK, TEST_SET = "refine", "label_book", "test"  # tasks


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
    first: Guess | None = None  # by the first ensemble, out of fold
    second: Guess | None = None  # by the second one
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
    ledger: pa.Table  # every verdict, in order

    def verdicts(self, identifier: str) -> Sequence[VerdictRow]:
        """The verdicts on an image, in order."""
        return verdict_rows(self.ledger.filter(pc.equal(self.ledger["id"], identifier)))


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
    given = labels_by_id(prepared, "given_label")
    labels = {one: (label, piped.get(one)) for one, label in given.items()}
    images = _images(prepared, PREPARED, piped, _signals(there, labels, class_names(prepared)))
    if (root / TEST / "samples.parquet").exists():
        test = only_source(read_samples(root / TEST))
        images |= _images(test, TEST, labels_by_id(test), _Signals())
    ledger = read_ledger(accepted, ["id", "stage"])
    decided = ledger.filter(pc.equal(ledger["stage"], DECIDED))["id"].to_pylist()
    return Records(class_names(prepared), images, missing, "accepted" in there, frozenset(decided))


def read_outcome(root: Path) -> Outcome:
    """What became of the images, as the refined dataset has it now.

    Raises:
        UserError: the refined dataset is missing, or damaged.
    """
    labels = labels_by_id(only_source(read_samples(root / REFINED)))
    return Outcome(labels, read_ledger(root / REFINED))


@dataclass(frozen=True)
class _Signals:
    """By id, what the round measured."""

    quality: Mapping[str, float] = field(default_factory=dict)
    first: Mapping[str, Guess] = field(default_factory=dict)
    second: Mapping[str, Guess] = field(default_factory=dict)
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


def _signals(there: Mapping[str, Path], labels: Mapping[str, Labels], classes: Sequence[str]) -> _Signals:
    quality: dict[str, float] = {}
    if "quality" in there:
        table = read_table(there["quality"], QUALITY_SCHEMA)
        quality = dict(zip(table["id"].to_pylist(), table["label_quality"].to_pylist(), strict=True))
    first, second = (
        read_guesses(there[name], labels, classes) if name in there else {} for name in ("first", "second")
    )
    near = read_near(there["neighbours"], labels) if "neighbours" in there else {}
    return _Signals(quality, first, second, near)


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
