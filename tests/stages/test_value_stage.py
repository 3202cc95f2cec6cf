"""The columns that the valuation writes beside the removal effects."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stages import value
from tests.support import profiles
from tests.support.datasets import make_dataset
from tests.support.influence import standardised
from tests.support.inputs import competition_inputs
from winnow.dataset.samples import class_names, label_indices, only_splits, read_samples
from winnow.influence.harm import lowest_mean
from winnow.influence.spread import Valuation
from winnow.influence.valuation import Data
from winnow.pipeline.files import read_table
from winnow.pipeline.params import load_params
from winnow.representation.predictions import write_planted, write_probabilities
from winnow.training.head import HeadProfile

DATASET = {"train": 60, "val": 12, "label_book": 9}
MADE = Valuation(np.random.default_rng(0).normal(size=(72, 9)), [[1.0]])
MADE.effect[7] -= 6.0


def scores_of(folder: Path, dataset: Path, seed: int, **changes: Any) -> pa.Table:
    samples = only_splits(read_samples(dataset), "train", "val", "label_book")
    sure = np.eye(len(class_names(samples)), dtype=np.float32)[label_indices(samples)]
    write_probabilities(folder / "classes.parquet", samples, sure)
    write_planted(folder / "planted.parquet", sure[:0], samples, np.random.default_rng(0))
    value.main(
        dataclasses.replace(load_params("value", value.Params), seed=seed, **changes),
        load_params("head", HeadProfile),
        profiles.SUPPORT,
        dataset=dataset,
        delivered=dataset,
        classes=folder / "classes.parquet",
        planted=folder / "planted.parquet",
        scores=folder / "scores.parquet",
        curve=folder / "curve.csv",
        influence=folder / "influence.csv",
        quality=folder / "quality.csv",
        **competition_inputs(folder, "model", "pixels", "features", "user_signals"),
    )
    return read_table(folder / "scores.parquet")


def test_harm_is_written_of_every_image_beside_the_columns_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value, "value_networks", lambda *_: MADE)
    dataset = make_dataset(tmp_path / "in", DATASET)
    scores = scores_of(tmp_path, dataset, 0)
    samples = read_samples(dataset)
    book = only_splits(samples, "label_book")["id"].to_pylist()
    summaries = ["min", "mean", "label_quality", "score", "harm", "harm_p"]
    assert scores.column_names == ["id", *book, *summaries]
    assert set(summaries) | {"id", "<label-book id>", "class:<class>"} == set(value.SCORES)
    labels = label_indices(only_splits(samples, "train", "val"))
    expected = lowest_mean(standardised(MADE.effect, labels))
    assert scores["harm"].to_numpy().tolist() == expected.tolist()
    p = scores["harm_p"].to_numpy()
    assert p.argmin() == 7
    assert p[7] < 0.001 < np.median(p) < 1
    assert scores_of(tmp_path, dataset, 0).equals(scores)
    assert not scores_of(tmp_path, dataset, 1)["harm_p"].equals(scores["harm_p"])


def test_of_a_large_label_book_there_is_a_column_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Data] = []

    def valued(data: Data, *_: object) -> Valuation:
        asked.append(data)
        return Valuation(MADE.effect[:, : len(data.columns)].astype(data.columns.dtype), [[1.0]])

    monkeypatch.setattr(value, "value_networks", valued)
    dataset = make_dataset(tmp_path / "in", DATASET)
    scores = scores_of(tmp_path, dataset, 0, columns=8)
    names = [f"class:{name}" for name in class_names(read_samples(dataset))]
    assert scores.column_names == ["id", *names, "min", "mean", "label_quality", "score", "harm", "harm_p"]
    assert [scores.schema.field(name).type for name in (*names, "min", "mean")] == [pa.float32()] * 3 + [
        pa.float64()
    ] * 2
    np.testing.assert_array_equal(scores[names[2]].to_numpy(), MADE.effect[:, 2].astype(np.float32))
    assert asked[0].columns.of.tolist() == asked[0].book_labels.tolist()
    scores_of(tmp_path, dataset, 0, columns=9)
    assert not asked[1].columns.by_class
