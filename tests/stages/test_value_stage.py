"""The columns that the valuation writes beside the removal effects."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages import value
from tests.support import profiles
from tests.support.datasets import make_dataset
from tests.support.inputs import competition_inputs
from winnow.dataset.samples import class_names, label_indices, only_splits, read_samples
from winnow.influence.harm import lowest_mean, standardised
from winnow.pipeline.files import read_table
from winnow.pipeline.params import load_params
from winnow.representation.predictions import write_planted, write_probabilities
from winnow.training.head import HeadProfile

DATASET = {"train": 60, "val": 12, "label_book": 9}
MADE = value.Valuation(np.random.default_rng(0).normal(size=(72, 9)), [[1.0]])
MADE.effect[7] -= 6.0


def scores_of(folder: Path, dataset: Path, seed: int) -> pa.Table:
    samples = only_splits(read_samples(dataset), "train", "val", "label_book")
    sure = np.eye(len(class_names(samples)), dtype=np.float32)[label_indices(samples)]
    write_probabilities(folder / "classes.parquet", samples, sure)
    write_planted(folder / "planted.parquet", sure[:0], samples, np.random.default_rng(0))
    value.main(
        dataclasses.replace(load_params("value", value.Params), seed=seed),
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
    assert set(summaries) | {"id", "<label-book id>"} == set(value.SCORES)
    labels = label_indices(only_splits(samples, "train", "val"))
    expected = lowest_mean(standardised(MADE.effect, labels))
    assert scores["harm"].to_numpy().tolist() == expected.tolist()
    p = scores["harm_p"].to_numpy()
    assert p.argmin() == 7
    assert p[7] < 0.001 < np.median(p) < 1
    assert scores_of(tmp_path, dataset, 0).equals(scores)
    assert not scores_of(tmp_path, dataset, 1)["harm_p"].equals(scores["harm_p"])
