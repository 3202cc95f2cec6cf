"""A git and DVC repository with two refinements of one small dataset, hostile names included."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.prepare import LEAKS_SCHEMA, REJECTED_SCHEMA
from tests.support.workspace import Workspace
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import sample_id, samples_table
from winnow.pipeline.files import write_table
from winnow.verdicts.ledger import PIPELINE, VERDICT_SCHEMA

CLASSES = ["i", "ii", "<b>"]
HOSTILE = [
    'train/<b>/"><script>alert(1)</script>.png',
    'train/<b>/it\'s\ntwo "lines" & more.png',
]
NAMES = [f"train/{label}/{number}.png" for label in ("i", "ii") for number in range(4)] + HOSTILE
BOOK = ["label_book/i/0.png", "label_book/ii/0.png"]
TESTED = "test/i/9.png"

DVC_YAML = """
stages:
  prepare: {cmd: "true", outs: [data/prepared, data/test]}
  cleanse_influence:
    foreach: ${rounds}
    do: {cmd: "true", outs: ["data/${key}/cleanse_influence/verdicts.parquet"]}
  cleanse_neighbours:
    foreach: ${rounds}
    do: {cmd: "true", outs: ["data/${key}/cleanse_neighbours/verdicts.parquet"]}
  refined: {cmd: "true", outs: [data/refined]}
"""


def png(name: str) -> bytes:
    """The picture of a name; both pictures of ii/0 and ii/1 are one."""
    seed = sample_id(name.replace("ii/1", "ii/0"), b"")
    return encode_png(np.random.default_rng(int(seed, 16)).integers(0, 256, (8, 8, 1), dtype=np.uint8))


def identify(name: str) -> str:
    return sample_id(name, png(name))


def row(name: str, **changes: Any) -> dict[str, Any]:
    split, label = name.split("/")[:2]
    same = sample_id("", png(name))
    plain = {"id": identify(name), "name": name, "split": split, "label": label, "given_label": label}
    return {**plain, "origin": "source", "pixel_hash": same, "channels": 1, "group": identify(name), **changes}


def child(parent: str, number: int, label: str) -> dict[str, Any]:
    name = f"{parent}#random-{number}"
    operations = '[{"operation": "rotate", "magnitude": 3.5}]'
    return row(name, label=label, origin="random", parent=identify(parent), operations=operations)


def verdict(name: str, action: str, before: str, after: str | None, reason: str, **changes: Any) -> dict[str, Any]:
    plain = {"id": identify(name), "action": action, "label_before": before, "label_after": after, "reason": reason}
    return {**plain, "support": -0.25, "evidence": [identify(BOOK[0])], "by": PIPELINE, **changes}


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    write_dataset(folder, samples_table(rows, CLASSES), images=[(r["id"], png(r["name"])) for r in rows])


def write_verdicts(root: Path, stage: str, rows: list[dict[str, Any]]) -> None:
    rows = [{"round": "r1", "stage": stage, **row} for row in rows]
    write_table(root / f"data/r1/{stage}/verdicts.parquet", pa.Table.from_pylist(rows, schema=VERDICT_SCHEMA))


def before_renames(root: Path) -> None:
    """Rewrite the verdict tables as version 0.1 wrote them: with a score, without round, stage and by."""
    for path in root.glob("data/*/*/verdicts.parquet"):
        table = pq.read_table(path).rename_columns({"support": "score"}).drop_columns(["round", "stage", "by"])
        write_table(path, table)


def first(root: Path) -> None:
    """i/0 dropped, ii/3 relabelled to i; a copy of i/1 and one of i/2."""
    given = [row(name) for name in NAMES + BOOK]
    write(root / "data/prepared", given)
    leak = {"id": "f" * 16, "name": "train/i/7.png", "split": "train", "label": "i", "kept_in": "test"}
    write_table(root / "data/prepared/leaks.parquet", pa.Table.from_pylist([leak], schema=LEAKS_SCHEMA))
    rejected = {"name": "train/i/bad.png", "reason": "damaged image"}
    write_table(root / "data/prepared/rejected.parquet", pa.Table.from_pylist([rejected], schema=REJECTED_SCHEMA))
    write(root / "data/test", [row(TESTED)])
    kept = [verdict(name, "keep", row(name)["label"], row(name)["label"], "harms none") for name in NAMES[1:]]
    write_verdicts(root, "cleanse_influence", [verdict(NAMES[0], "drop", "i", None, "harms 1 image"), *kept])
    write_verdicts(root, "cleanse_neighbours", [verdict(NAMES[7], "relabel", "ii", "i", "2 of 3 are i", support=0.5)])
    rows = [{**r, "label": "i"} if r["name"] == NAMES[7] else r for r in given if r["name"] != NAMES[0]]
    write(root / "data/refined", [*rows, child(NAMES[1], 0, "i"), child(NAMES[2], 0, "i")])


def second(root: Path) -> None:
    """i/0 back, ii/3 as delivered; both hostile ones gone, ii/2 relabelled and moved; another copy of i/1."""
    given = [row(name) for name in NAMES + BOOK]
    drops = [verdict(name, "drop", "<b>", None, "harms <i>2</i> images") for name in HOSTILE]
    write_verdicts(root, "cleanse_influence", drops)
    write_verdicts(root, "cleanse_neighbours", [verdict(NAMES[6], "relabel", "ii", "<b>", "all are <b>", support=None)])
    moved = {"label": "<b>", "split": "val"}
    rows = [{**r, **moved} if r["name"] == NAMES[6] else r for r in given if r["name"] not in HOSTILE]
    write(root / "data/refined", [*rows, child(NAMES[1], 1, "i"), child(NAMES[2], 0, "i")])


def make_history(folder: Path) -> Workspace:
    """Tag ``bare`` before the pipeline ran, tag ``one`` after ``first``, branch main after ``second``."""
    workspace = Workspace.new(folder, {})
    (folder / "dvc.yaml").write_text(DVC_YAML)
    workspace.commit("pipeline")
    workspace.run("git", "tag", "bare")
    states: dict[str, Callable[[Path], None]] = {"one": first, "two": second}
    for tag, state in states.items():
        state(folder)
        workspace.dvc("commit", "--force", "--quiet")
        workspace.commit(tag)
        workspace.run("git", "tag", tag)
    return workspace


def forbid_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whatever connects to anything."""

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection to {arguments[-1]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
