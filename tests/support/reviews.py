"""A small finished run for the review: datasets and signals as stages leave them, without training anything."""

import copy
import functools
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.datasets import CLASSES
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import read_samples, sample_id, samples_table
from winnow.pipeline.files import ROOT, write_table
from winnow.verdicts.ledger import VERDICT_SCHEMA, write_ledger

HEADER = "sample,action,label,by,note\n"
ROUND = "data/r1"
MOST_PICTURES = 100  # that a run has; more images share them


@functools.lru_cache(MOST_PICTURES)
def picture(number: int, *, seed: int = 0, side: int = 16) -> bytes:
    """A PNG that no other number and seed have."""
    return encode_png(np.random.default_rng([seed, number]).integers(0, 256, (side, side, 1), dtype=np.uint8))


def row(name: str, content: bytes, **changes: Any) -> dict[str, Any]:
    """A row of a samples table."""
    split, label = name.split("/")[:2]
    identifier = sample_id(name, content)
    plain: dict[str, Any] = {"id": identifier, "name": name, "split": split, "label": label, "given_label": label}
    plain |= {"origin": "source", "pixel_hash": sample_id("", content) * 2, "channels": 1, "width": 16, "height": 16}
    return {**plain, "group": identifier, **changes}


def dataset(folder: Path, images: Mapping[str, bytes], **columns: Mapping[str, Any]) -> list[str]:
    """Write a dataset of named pictures; the ids in their order.

    Args:
        folder: of the dataset.
        images: bytes by name, ``split/label/file``.
        columns: by column its values by name, where they differ from the usual ones.
    """
    rows = [
        row(name, content, **{column: values[name] for column, values in columns.items() if name in values})
        for name, content in images.items()
    ]
    pairs = [(one["id"], content) for one, content in zip(rows, images.values(), strict=True)]
    write_dataset(folder, samples_table(rows, CLASSES), images=pairs)
    return [one["id"] for one in rows]


class Run:
    """A finished run in a folder: as many images as asked for, and signals at random."""

    def __init__(self, root: Path, *, train: int = 24, val: int = 6, book: int = 3, test: int = 6) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "params.yaml", root)
        counts = {"train": train, "val": val, "label_book": book}
        names = [
            f"{split}/{CLASSES[n % len(CLASSES)]}/{n}.png" for split, count in counts.items() for n in range(count)
        ]
        self.images = {name: picture(number % MOST_PICTURES) for number, name in enumerate(names)}
        tests = {f"test/{CLASSES[n % len(CLASSES)]}/{n}.png": picture(n, seed=1) for n in range(test)}
        self.ids = dict(zip(names, dataset(root / "data/prepared", self.images), strict=True))
        self.ids |= dict(zip(tests, dataset(root / "data/test", tests), strict=True))
        self.refine = [self.ids[name] for name in names if not name.startswith("label_book")]
        self.set_refined({})
        self.overrides = root / "overrides.csv"
        self.overrides.write_text(HEADER)
        self.set_signals(np.random.default_rng(0))

    def copy(self, root: Path) -> "Run":
        """The same run in another folder."""
        shutil.copytree(self.root, root)
        other = copy.copy(self)
        other.root, other.overrides = root, root / "overrides.csv"
        other.images, other.ids, other.refine = dict(self.images), dict(self.ids), list(self.refine)
        return other

    def rewrite(self, images: Mapping[str, bytes]) -> None:
        """Put other pictures in the place of some of data/prepared; ids and signals follow."""
        self.images |= images
        self.ids |= dict(zip(self.images, dataset(self.root / "data/prepared", self.images), strict=True))
        self.refine = [self.ids[name] for name in self.images if not name.startswith("label_book")]
        self.set_refined({})
        self.set_signals(np.random.default_rng(0))

    def set_refined(
        self, labels: Mapping[str, str | None], verdicts: Sequence[dict[str, Any]] = (), *, accepted: bool = True
    ) -> None:
        """Write the refined dataset, and the accepted one if asked to, with the labels by id; None drops."""
        samples = read_samples(self.root / "data/prepared")
        rows = [{**one, "label": labels.get(one["id"], one["label"])} for one in samples.to_pylist()]
        kept = samples_table([one for one in rows if one["label"] is not None], CLASSES)
        for folder in ([f"{ROUND}/gate/dataset"] if accepted else []) + ["data/refined"]:
            write_dataset(self.root / folder, kept, shards_from=[self.root / "data/prepared"])
        write_ledger(self.root / "data/refined", pa.Table.from_pylist(list(verdicts), schema=VERDICT_SCHEMA))

    def set_signals(
        self,
        rng: np.random.Generator,
        *,
        quality: Mapping[str, float] | None = None,
        first: Mapping[str, Sequence[float]] | None = None,
        second: Mapping[str, Sequence[float]] | None = None,
        neighbours: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Write what the round measured, by id; what is not given is drawn."""
        every = [one for name, one in self.ids.items() if not name.startswith("test")]
        drawn = quality or dict(zip(self.refine, rng.random(len(self.refine)).tolist(), strict=True))
        table = pa.table({"id": list(drawn), "label_quality": list(drawn.values())})
        write_table(self.root / ROUND / "value/scores.parquet", table)
        for stage, given in (("ensemble", first), ("embed", second)):
            values = given or dict(zip(every, rng.dirichlet([1.0] * len(CLASSES), len(every)).tolist(), strict=True))
            rows = pa.array([list(one) for one in values.values()], pa.list_(pa.float32()))
            write_table(
                self.root / ROUND / stage / "classes.parquet", pa.table({"id": list(values), "probability": rows})
            )
        after = np.arange(1, 5)  # the four that follow in the table, round its end
        near = neighbours or {
            one: [every[(number + step) % len(every)] for step in after.tolist()] for number, one in enumerate(every)
        }
        names = pa.array([[list(one)] for one in near.values()], pa.list_(pa.list_(pa.string())))
        lengths = [[np.linspace(0.1, 1.0, len(one)).tolist()] for one in near.values()]
        table = pa.table(
            {"id": list(near), "neighbours": names, "distances": pa.array(lengths, pa.list_(pa.list_(pa.float32())))}
        )
        write_table(self.root / ROUND / "embed/neighbours.parquet", table)

    def rows(self) -> list[str]:
        """The rows of overrides.csv."""
        return self.overrides.read_text().splitlines()[1:]
