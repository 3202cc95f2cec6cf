"""The stages around the representation, one after another on a small set, held to their contracts."""

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from stages import augment_edge_cases, cleanse_neighbours, find_edge_cases, train_encoder
from tests.support.datasets import CLASSES
from tests.support.inputs import competition_inputs, no_pixels
from tests.support.profiles import ENSEMBLE, FINETUNE, HEAD, SUPPORT
from tests.support.representation import COPIES, EDGES, ENCODERS, MOST, REFUSED, make_representation
from winnow.cleansing.neighbour_rule import Rule as NeighbourRule
from winnow.dataset.images import read_images
from winnow.dataset.samples import read_samples, samples_table
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError
from winnow.representation import ensemble as networks
from winnow.representation.out_of_fold import NO_FOLD
from winnow.representation.predictions import read_neighbours, read_probabilities


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_representation(tmp_path_factory.mktemp("representation"))


def test_more_votes_than_embed_keeps_are_refused(tmp_path: Path) -> None:
    rule = NeighbourRule(by="neighbours", k=5, agreement=0.5, relabel=1.0, far=0.0)
    read: tuple[str, ...] = (
        "dataset",
        "neighbours",
        "classes",
        "embeddings",
        "scores",
        "model",
        "pixels",
        "features",
        "user_signals",
    )
    read += ("planted", "earlier", "expected")
    written = ("overrides", "cleansed", "verdicts", "estimate", "signals", "sheet", "plane")
    with pytest.raises(UserError, match=r"cleanse_neighbours\.k is 5, but embed\.neighbours keeps 4; raise it"):
        cleanse_neighbours.main(rule, SUPPORT, 4, round="r1", **dict.fromkeys([*read, *written], tmp_path))


def test_edge_cases_are_source_images_of_train_that_belong_to_their_class(folder: Path) -> None:
    found = pq.read_table(folder / "edges.parquet")
    assert found.column_names == ["id", "label", "agreement", "isolation", "x", "y", "edge"]
    samples = read_samples(folder / "set").to_pylist()
    assert found["id"].to_pylist() == [row["id"] for row in samples if row["split"] == "train"]
    assert any(found["edge"].to_pylist())
    assert all(row["agreement"] >= EDGES.rule.agreement for row in found.to_pylist() if row["edge"])
    assert (folder / "edges.png").read_bytes().startswith(b"\x89PNG")


def test_copies_fill_the_classes_up_to_what_an_arm_may_hold(folder: Path) -> None:
    before, after = (read_samples(folder / name).to_pylist() for name in ("set", "augmented"))
    assert after[: len(before)] == before
    copied = after[len(before) :]
    by_id = {row["id"]: row for row in before}
    edges = {row["id"] for row in pq.read_table(folder / "edges.parquet").to_pylist() if row["edge"]}
    assert Counter(row["label"] for row in after if row["split"] == "train") == dict.fromkeys(CLASSES, (MOST - 6) // 3)
    assert {(row["split"], row["origin"]) for row in copied} == {("train", "edge_case")}
    for row in copied:
        assert row["operations"]
        assert row["label"] == by_id[row["parent"]]["label"]
        assert by_id[row["parent"]]["split"] == "train"
    with_edges = {by_id[identifier]["label"] for identifier in edges}
    assert all(row["parent"] in edges for row in copied if row["label"] in with_edges)


def test_edge_cases_of_a_class_are_inverted_if_its_label_survives_it(folder: Path) -> None:
    copied = [row for row in read_samples(folder / "augmented").to_pylist() if row["parent"] is not None]
    inverted = Counter(row["label"] for row in copied if '"invert"' in row["operations"])
    assert set(inverted) == set(CLASSES) - {REFUSED}
    assert any(row["label"] == REFUSED for row in copied)


def test_a_class_that_new_labels_overfilled_loses_copies(folder: Path, tmp_path: Path) -> None:
    """As left by a cleansing that relabels into a class that was full."""
    classes, before = CLASSES, read_samples(folder / "augmented").to_pylist()
    moved = [row for row in before if row["split"] == "train" and row["label"] == "ii" and row["parent"] is None][:2]
    roots = {row["id"] for row in moved}
    rows = [{**row, "label": "i"} if roots & {row["id"], row["parent"]} else row for row in before]
    shutil.copytree(folder / "augmented", tmp_path / "set")
    write_table(tmp_path / "set/samples.parquet", samples_table(rows, classes))
    edges, out = tmp_path / "edges.parquet", tmp_path / "out"
    find_edge_cases.main(
        EDGES,
        dataset=tmp_path / "set",
        edge_cases=edges,
        sheet=tmp_path / "edges.png",
        classes=tmp_path / "none.parquet",
        embeddings=tmp_path / "none.parquet",
        **competition_inputs(tmp_path, "model", "pixels", "features"),
    )
    places = {"edge_cases": edges, "policy": folder / "policy.json", "augmented": out}
    places |= competition_inputs(tmp_path, "model", "pixels", "user")
    augment_edge_cases.main(COPIES, MOST, 20, dataset=tmp_path / "set", **places)
    after = read_samples(out).to_pylist()
    assert Counter(row["label"] for row in after if row["split"] == "train") == dict.fromkeys(classes, (MOST - 6) // 3)
    assert [row for row in after if row["parent"] is None] == [row for row in rows if row["parent"] is None]
    augment_edge_cases.main(COPIES, 30, 20, dataset=tmp_path / "set", **places)  # 24 beside val; class i has 9
    after = read_samples(out).to_pylist()
    assert Counter(row["label"] for row in after if row["split"] == "train") == {"i": 9, "ii": 7, "iii": 7}


def test_a_table_of_other_images_is_refused(folder: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "edges.parquet", pq.read_table(folder / "edges.parquet").slice(1))
    with pytest.raises(UserError, match="is about other images than"):
        augment_edge_cases.main(
            COPIES,
            MOST,
            20,
            dataset=folder / "set",
            edge_cases=tmp_path / "edges.parquet",
            policy=folder / "policy.json",
            augmented=tmp_path / "out",
            **competition_inputs(tmp_path, "model", "pixels", "user"),
        )
    assert not (tmp_path / "out").exists()


def training_jobs(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Any]]:
    """The jobs that train_encoder hands out, none of which is done."""
    seen: list[Sequence[Any]] = []

    def record(function: Any, jobs: Sequence[Any], **_: object) -> list[dict[str, torch.Tensor]]:
        seen.extend(jobs)
        return [{"head.bias": torch.zeros(3)} for _ in jobs]

    monkeypatch.setattr(train_encoder, "run_jobs", record)
    monkeypatch.setattr(networks, "run_jobs", record)
    return seen


def test_no_network_learns_from_the_fold_that_it_is_asked_about(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = training_jobs(monkeypatch)
    train_encoder.main(
        ENCODERS,
        ENSEMBLE,
        HEAD,
        FINETUNE,
        dataset=folder / "augmented",
        networks=tmp_path / "none",
        encoders=tmp_path / "encoders",
        **competition_inputs(tmp_path, "model", "pixels", "features", "user"),
    )
    dealt = pq.read_table(tmp_path / "encoders/folds.parquet")
    samples = read_samples(folder / "augmented").to_pylist()
    assert dealt["id"].to_pylist() == [row["id"] for row in samples if row["parent"] is None]  # copies are no evidence
    splits = {row["id"]: row["split"] for row in samples}
    fold = np.array([row[0] for row in dealt["folds"].to_pylist()])
    book = np.array([splits[identifier] == "label_book" for identifier in dealt["id"].to_pylist()])
    assert (fold[book] == NO_FOLD).all()
    assert set(fold[~book]) == {0, 1}
    pixels = read_images(folder / "augmented", dealt["id"].to_pylist(), no_pixels(folder))
    assert len(seen) == 4  # two folds, an encoder and a classifier each
    for number, (images, labels, members, *_) in enumerate(seen):
        assert np.array_equal(images, pixels)
        assert [CLASSES[k] for k in labels] == [
            row["label"] for row in samples if row["id"] in set(dealt["id"].to_pylist())
        ]
        assert np.array_equal(members, fold != number % 2)


def test_as_published_networks_learn_from_copies_too_which_are_in_the_fold_of_their_source_image(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = training_jobs(monkeypatch)
    train_encoder.main(
        replace(ENCODERS, dataset="augment/inverted"),
        ENSEMBLE,
        HEAD,
        FINETUNE,
        dataset=folder / "augmented",
        networks=tmp_path / "none",
        encoders=tmp_path / "encoders",
        **competition_inputs(tmp_path, "model", "pixels", "features", "user"),
    )
    assert (tmp_path / "encoders/folds.parquet").read_bytes() == (folder / "encoders/folds.parquet").read_bytes()
    dealt = pq.read_table(tmp_path / "encoders/folds.parquet").to_pylist()
    fold = {row["id"]: row["folds"][0] for row in dealt}
    rows = [row for row in read_samples(folder / "augmented").to_pylist() if row["split"] != "test"]
    assert any(row["parent"] for row in rows)
    pixels = read_images(folder / "augmented", [row["id"] for row in rows], no_pixels(folder))
    for number, (images, labels, members, *_) in enumerate(seen):
        assert np.array_equal(images, pixels)
        assert [CLASSES[k] for k in labels] == [row["label"] for row in rows]
        assert members.tolist() == [fold[row["parent"] or row["id"]] != number % 2 for row in rows]


def test_embeddings_are_unit_vectors_with_a_place_in_the_plane(folder: Path) -> None:
    table = pq.read_table(folder / "embeddings.parquet")
    assert table.column_names == ["id", "embedding", "x", "y"]
    assert table["id"].to_pylist() == read_samples(folder / "augmented")["id"].to_pylist()
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 8)
    lengths = np.linalg.norm(np.array(table["embedding"].to_pylist()), axis=1)
    assert np.allclose(lengths, 1, atol=1e-5)
    assert np.isfinite([*table["x"].to_pylist(), *table["y"].to_pylist()]).all()


def test_neighbours_are_source_images_of_other_folds(folder: Path) -> None:
    samples = {row["id"]: row for row in read_samples(folder / "augmented").to_pylist()}
    table = pq.read_table(folder / "encoders/folds.parquet")
    fold = dict(zip(table["id"].to_pylist(), (row[0] for row in table["folds"].to_pylist()), strict=True))
    for row in pq.read_table(folder / "neighbours.parquet").to_pylist():
        (near,), (distances,) = row["neighbours"], row["distances"]
        root = samples[row["id"]]["parent"] or row["id"]
        assert len(near) == len(set(near)) == 4
        assert distances == sorted(distances)
        assert root not in near  # no image votes for itself, and no copy for its parent
        if fold[root] != NO_FOLD:
            assert all(fold[one] != fold[root] for one in near)  # copies have no fold: none is among them


def test_class_probabilities_sum_to_one(folder: Path) -> None:
    table = pq.read_table(folder / "classes.parquet")
    probability = np.array(table["probability"].to_pylist())
    assert probability.shape == (read_samples(folder / "augmented").num_rows, 3)
    assert np.allclose(probability.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "column", "first"),
    [
        ("neighbours", "distances", [[0.1]]),
        ("neighbours", "distances", [[float("nan")] * 4]),
        ("neighbours", "neighbours", None),
        ("classes", "probability", [0.5]),
        ("classes", "probability", [7.0, 0.0, 0.0]),
    ],
)
def test_a_tampered_table_is_told(folder: Path, tmp_path: Path, name: str, column: str, first: object) -> None:
    table = pq.read_table(folder / f"{name}.parquet")
    values = [first, *table[column].to_pylist()[1:]]
    place = table.column_names.index(column)
    write_table(tmp_path / "told.parquet", table.set_column(place, column, pa.array(values)))
    read = read_neighbours if name == "neighbours" else read_probabilities
    samples = read_samples(folder / "augmented")
    assert read(folder / f"{name}.parquet", samples) is not None
    with pytest.raises(UserError, match=r"told\.parquet: .*; run `dvc checkout --force "):
        read(tmp_path / "told.parquet", samples)


def test_junk_is_planted_among_the_source_images(folder: Path) -> None:
    table = pq.read_table(folder / "planted.parquet")
    assert table.num_rows == 8
    assert set(table["label"].to_pylist()) <= set(CLASSES)
    assert np.allclose(np.array(table["probability"].to_pylist()).sum(axis=1), 1, atol=1e-5)


def test_edge_cases_by_margin_are_those_of_the_probabilities_as_embed_wrote_them(folder: Path, tmp_path: Path) -> None:
    """Embed judges copies and other splits as well, in another order than that of train."""
    rule = replace(EDGES.rule, quantile=0.6)
    find_edge_cases.main(
        replace(EDGES, by="margin", rule=rule),
        dataset=folder / "set",
        edge_cases=tmp_path / "edges.parquet",
        sheet=tmp_path / "edges.png",
        classes=folder / "classes.parquet",
        embeddings=folder / "embeddings.parquet",
        **competition_inputs(tmp_path, "model", "pixels", "features"),
    )
    found = pq.read_table(tmp_path / "edges.parquet").to_pylist()
    probability = {row["id"]: row["probability"] for row in pq.read_table(folder / "classes.parquet").to_pylist()}
    places = {row["id"]: (row["x"], row["y"]) for row in pq.read_table(folder / "embeddings.parquet").to_pylist()}
    samples = {row["id"]: row for row in read_samples(folder / "set").to_pylist()}
    assert [row["id"] for row in found] == [one for one, row in samples.items() if row["split"] == "train"]
    for row in found:
        own = probability[row["id"]][CLASSES.index(row["label"])]
        other = max(value for k, value in enumerate(probability[row["id"]]) if CLASSES[k] != row["label"])
        assert row["agreement"] == own
        assert row["isolation"] == pytest.approx(1 - own + other if own >= other else 0.0)
        assert (row["x"], row["y"]) == places[row["id"]]
        belong = [one["isolation"] for one in found if one["label"] == row["label"] and one["isolation"] > 0]
        assert row["edge"] == (len(belong) > 1 and row["isolation"] >= max(1e-9, np.quantile(belong, 0.6)))
    assert (tmp_path / "edges.png").read_bytes().startswith(b"\x89PNG")


def test_probabilities_of_other_images_give_no_edge_cases(folder: Path, tmp_path: Path) -> None:
    write_table(tmp_path / "classes.parquet", pq.read_table(folder / "classes.parquet").slice(1))
    with pytest.raises(UserError, match=r"classes\.parquet is about other images than .* holds; run `dvc repro`"):
        find_edge_cases.main(
            replace(EDGES, by="margin"),
            dataset=folder / "set",
            edge_cases=tmp_path / "edges.parquet",
            sheet=tmp_path / "edges.png",
            classes=tmp_path / "classes.parquet",
            embeddings=folder / "embeddings.parquet",
            **competition_inputs(tmp_path, "model", "pixels", "features"),
        )
    assert not (tmp_path / "edges.parquet").exists()
