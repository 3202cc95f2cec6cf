"""The stage by influence, as published: verdicts with evidence, shards passed on, scores of other images refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.cleanse_influence import Params, main
from tests.support.datasets import no_overrides
from tests.support.inputs import competition_inputs
from tests.support.profiles import SUPPORT
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import read_samples, samples_table
from winnow.pipeline.files import digest
from winnow.pipeline.messages import UserError

SPLITS = dict.fromkeys("abcf", "train") | dict.fromkeys("de", "val") | dict.fromkeys("xy", "label_book")
EFFECT = {"a": (-9.0, 1.0), "b": (1.0, 1.0), "c": (0.5, -8.0), "d": (-8.9, -7.9), "e": (1.0, 2.0), "f": (1.0, 1.0)}
QUALITY = {"a": 0.1, "b": 0.9, "c": 0.7, "d": 0.4, "e": 0.2, "f": 0.9}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows: list[dict[str, object]] = [
        {
            "id": identifier,
            "name": f"{split}/k/{identifier}.png",
            "split": split,
            "label": "k",
            "given_label": "k",
            "origin": "source",
            "parent": None,
            "operations": None,
            "pixel_hash": identifier,
            "channels": 1,
            "width": 4,
            "height": 4,
            "group": identifier,
        }
        for identifier, split in SPLITS.items()
    ]
    copied = rows[0] | {"id": "a2", "parent": "a", "origin": "random"}
    png = encode_png(np.zeros((4, 4, 1), np.uint8))
    table = samples_table([*rows, copied], ["k"])
    write_dataset(tmp_path / "in", table, images=((identifier, png) for identifier in [*SPLITS, "a2"]))
    # The order of the rows must not matter, nor that of the columns.
    order = ["d", "a", "e", "c", "f", "b"]
    columns = {"id": order, "y": [EFFECT[i][1] for i in order], "x": [EFFECT[i][0] for i in order]}
    columns["label_quality"] = [QUALITY[i] for i in order]
    columns["harm_p"] = [1.0] * len(order)
    pq.write_table(pa.table(columns), tmp_path / "scores.parquet")
    return tmp_path


def run(folder: Path, *, votes: int) -> list[dict[str, object]]:
    main(
        Params(by="influence", votes=votes, guard=True, validation=0, seed=0),
        SUPPORT,
        dataset=folder / "in",
        delivered=folder / "in",
        scores=folder / "scores.parquet",
        classes=folder / "none.parquet",  # by influence the ensemble has no say
        planted=folder / "none.parquet",
        overrides=no_overrides(folder),
        round="r1",
        cleansed=folder / "out",
        verdicts=folder / "verdicts.parquet",
        estimate=folder / "estimate.json",
        sheet=folder / "sheet.png",
        **competition_inputs(folder, "model", "pixels", "features", "user_signals"),
    )
    rows: list[dict[str, object]] = pq.read_table(folder / "verdicts.parquet").to_pylist()
    return rows


def test_the_estimate_knows_what_was_touched_alone(folder: Path) -> None:
    run(folder, votes=1)
    assert json.loads((folder / "estimate.json").read_bytes()) == {"stopped": False, "touched": 0.5}


def test_one_vote_drops_and_the_evidence_is_named_worst_first(folder: Path) -> None:
    verdicts = {row["id"]: row for row in run(folder, votes=1)}
    assert {i for i, row in verdicts.items() if row["action"] == "drop"} == {"a", "c", "d"}
    assert verdicts["d"]["evidence"] == ["x", "y"]
    assert verdicts["d"]["reason"] == "harms 2 label-book images beyond min + std"
    assert verdicts["d"]["support"] == -8.9
    assert verdicts["c"]["evidence"] == ["y"]
    assert verdicts["a"]["label_after"] is None
    assert verdicts["b"] == {
        "id": "b",
        "round": "r1",
        "stage": "cleanse_influence",
        "action": "keep",
        "label_before": "k",
        "label_after": "k",
        "reason": "harms no label-book image beyond min + std",
        "support": 1.0,
        "evidence": [],
        "by": "winnow",
    }


def test_copies_go_with_their_source_image_and_the_label_book_stays(folder: Path) -> None:
    run(folder, votes=1)
    assert read_samples(folder / "out")["id"].to_pylist() == ["b", "f", "e", "x", "y"]


def test_more_votes_drop_fewer(folder: Path) -> None:
    assert [row["id"] for row in run(folder, votes=2) if row["action"] == "drop"] == ["d"]


def test_shards_are_passed_on_byte_for_byte(folder: Path) -> None:
    run(folder, votes=1)
    assert digest([folder / "in/images"]) == digest([folder / "out/images"])


def test_scores_of_other_images_are_refused(folder: Path) -> None:
    table = pq.read_table(folder / "scores.parquet")
    pq.write_table(table.slice(1), folder / "scores.parquet")
    with pytest.raises(UserError, match="does not value the images of this dataset; run `dvc repro`"):
        run(folder, votes=1)
    pq.write_table(table.drop_columns(["y"]), folder / "scores.parquet")
    with pytest.raises(UserError, match="has no column y; run `dvc repro`"):
        run(folder, votes=1)


def test_of_a_large_label_book_classes_vote_and_are_shown_by_an_image(folder: Path) -> None:
    table = pq.read_table(folder / "scores.parquet")
    effect = pa.array([EFFECT[one][1] for one in table["id"].to_pylist()], pa.float32())
    pq.write_table(table.drop_columns(["x", "y"]).append_column("class:k", effect), folder / "scores.parquet")
    verdicts = {row["id"]: row for row in run(folder, votes=1)}
    assert {one for one, row in verdicts.items() if row["action"] == "drop"} == {"c", "d"}
    assert verdicts["c"]["reason"] == "harms 1 class of the label book beyond min + std"
    assert verdicts["c"]["evidence"] == ["x"]
    assert verdicts["a"]["reason"] == "harms no class of the label book beyond min + std"
    pq.write_table(table.drop_columns(["x", "y"]).append_column("class:other", effect), folder / "scores.parquet")
    with pytest.raises(UserError, match="has no column class:k; run `dvc repro`"):
        run(folder, votes=1)
