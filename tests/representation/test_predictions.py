"""What classifiers leave in files: read back as it was written, and refused where it is about something else."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.datasets import CLASSES, make_dataset
from winnow.dataset.samples import class_names, read_samples
from winnow.pipeline.files import schema_of, write_table
from winnow.pipeline.messages import UserError
from winnow.representation.predictions import (
    NEIGHBOURS,
    PLANTED,
    Neighbours,
    read_neighbours,
    read_planted,
    read_probabilities,
    write_neighbours,
    write_planted,
    write_probabilities,
)


@pytest.fixture
def samples(tmp_path: Path) -> pa.Table:
    return read_samples(make_dataset(tmp_path / "set", {"train": 8, "val": 4}))


def test_probabilities_come_back_as_they_were_written(samples: pa.Table, tmp_path: Path) -> None:
    probability = np.random.default_rng(0).dirichlet(np.ones(3), len(samples)).astype(np.float32)
    probability[2, 1] = np.nan
    write_probabilities(tmp_path / "classes.parquet", samples, probability)
    np.testing.assert_array_equal(read_probabilities(tmp_path / "classes.parquet", samples), probability)
    with pytest.raises(UserError, match=r"is about other images or classes than the dataset holds; run `dvc repro`"):
        read_probabilities(tmp_path / "classes.parquet", samples.slice(1))


def test_of_planted_junk_the_probability_of_its_label_comes_back(samples: pa.Table, tmp_path: Path) -> None:
    probability = np.random.default_rng(1).dirichlet(np.ones(3), 300).astype(np.float32)
    rare = samples.filter(pa.array(np.array(samples["label"].to_pylist()) != CLASSES[2]))  # no image of the third class
    write_planted(tmp_path / "planted.parquet", probability, rare, np.random.default_rng(2))
    table = pq.read_table(tmp_path / "planted.parquet")
    labels = table["label"].to_pylist()
    assert set(labels) == set(CLASSES[:2])  # drawn by the labels' frequencies
    found = read_planted(tmp_path / "planted.parquet", samples)
    assert found is not None
    for row, (label, value) in enumerate(zip(labels, found.tolist(), strict=True)):
        assert value == probability[row, class_names(samples).index(label)]


def test_where_no_junk_was_planted_there_is_none(samples: pa.Table, tmp_path: Path) -> None:
    write_planted(tmp_path / "planted.parquet", np.zeros((0, 3), np.float32), samples, np.random.default_rng(0))
    assert pq.read_table(tmp_path / "planted.parquet").schema.equals(schema_of(PLANTED))
    assert read_planted(tmp_path / "planted.parquet", samples) is None


@pytest.mark.parametrize(
    ("label", "probability", "message"),
    [
        ("i", [0.5, 0.5], r"has other classes than the dataset; run `dvc repro`"),
        ("x", [0.5, 0.25, 0.25], r"has other classes than the dataset; run `dvc repro`"),
        ("i", [0.5], r"has other classes than the dataset; run `dvc repro`"),
    ],
)
def test_junk_of_other_classes_is_refused(
    samples: pa.Table, tmp_path: Path, label: str, probability: list[float], message: str
) -> None:
    write_table(tmp_path / "planted.parquet", pa.table({"label": [label], "probability": [probability]}))
    with pytest.raises(UserError, match=message):
        read_planted(tmp_path / "planted.parquet", samples)


def test_rows_of_different_lengths_and_missing_columns_are_told(samples: pa.Table, tmp_path: Path) -> None:
    write_table(tmp_path / "ragged.parquet", pa.table({"label": ["i", "i"], "probability": [[0.5], [0.2, 0.3]]}))
    with pytest.raises(
        UserError, match=r"ragged\.parquet: column probability must hold equal lists; run `dvc checkout"
    ):
        read_planted(tmp_path / "ragged.parquet", samples)
    write_table(tmp_path / "lacking.parquet", pa.table({"probability": [[0.5, 0.2, 0.3]]}))
    with pytest.raises(UserError, match="has no column label"):
        read_planted(tmp_path / "lacking.parquet", samples)


def test_neighbours_come_back_as_they_were_written(samples: pa.Table, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    near = Neighbours(rng.integers(0, 12, (2, 12, 5)), rng.random((2, 12, 5)).astype(np.float32))
    write_neighbours(tmp_path / "near.parquet", samples, near)
    found = read_neighbours(tmp_path / "near.parquet", samples)
    assert np.array_equal(found.index, near.index)
    assert np.array_equal(found.distance, near.distance)
    table = pq.read_table(tmp_path / "near.parquet")
    assert table.schema.equals(schema_of(NEIGHBOURS))
    ids = samples["id"].to_pylist()
    named = [[[ids[one] for one in near.index[repeat, row]] for repeat in range(2)] for row in range(12)]
    assert table["neighbours"].to_pylist() == named


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neighbours": [[["x", "y"]]] * 12}, r"names the image 'x', which the dataset lacks; run `dvc repro`"),
        ({"neighbours": [[["x"]]] * 12}, "neighbours and distances do not go together"),
        ({"neighbours": [[["x", "y"]]] * 11 + [[["x"]]]}, "column neighbours must hold equal lists"),
        ({"neighbours": [[["x", "y"]]] * 11 + [[["x", None]]]}, "column neighbours must hold equal lists"),
        ({"neighbours": [["x", "y"]] * 12}, "column neighbours must hold equal lists"),
        ({"distances": [[[0.5, float("nan")]]] * 12}, "neighbours and distances do not go together"),
        ({"distances": [[["a", "b"]]] * 12}, "column distances must hold equal lists"),
        ({"id": ["x"] * 12}, "is about other images than the dataset holds"),
    ],
)
def test_neighbours_of_other_images_and_ragged_ones_are_refused(
    samples: pa.Table, tmp_path: Path, changes: dict[str, list[object]], message: str
) -> None:
    first = samples["id"][0].as_py()
    whole = {"id": samples["id"].to_pylist(), "neighbours": [[[first] * 2]] * 12, "distances": [[[0.0, 0.1]]] * 12}
    write_table(tmp_path / "near.parquet", pa.table(whole | changes))
    with pytest.raises(UserError, match=message):
        read_neighbours(tmp_path / "near.parquet", samples)
