"""Predictions and embeddings of the user's own: every form that is read, and what is refused."""

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.predictions import main
from tests.support.datasets import make_dataset
from winnow.dataset.samples import read_samples
from winnow.intake.user_tables import read_embeddings, read_predictions
from winnow.pipeline.messages import UserError
from winnow.representation.user_signals import read_user_signals

CLASSES = ["i", "ii", "iii"]


@pytest.fixture
def samples(tmp_path: Path) -> pa.Table:
    return read_samples(make_dataset(tmp_path / "set", {"train": 3, "val": 1}))


def written(tmp_path: Path, text: str, name: str = "mine.csv") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_rows_are_matched_by_name_and_columns_by_class(tmp_path: Path, samples: pa.Table) -> None:
    file = written(tmp_path, "iii,name,i,ii\n0.7,train/i/0.png,0.1,0.2\n0,test/i/9.png,1,0\n0.2,0.png,0.5,0.3\n")
    found = read_predictions(file, samples, CLASSES)
    ids = dict(zip(samples["name"].to_pylist(), samples["id"].to_pylist(), strict=True))
    assert found.ids == [ids["train/i/0.png"]]  # two images end in 0.png
    np.testing.assert_allclose(found.values, np.array([[0.1, 0.2, 0.7]]))
    assert found.unknown == 2


def test_rows_are_matched_by_id_and_parquet_is_read(tmp_path: Path, samples: pa.Table) -> None:
    ids = samples["id"].to_pylist()
    table = pa.table({"id": ids[:2], "i": [1.0, 0.0], "ii": [0.0, 0.5], "iii": [0.0, 0.5]})
    pq.write_table(table, tmp_path / "mine.parquet")
    found = read_predictions(tmp_path / "mine.parquet", samples, CLASSES)
    assert found.ids == ids[:2]
    np.testing.assert_allclose(found.values, np.array([[1, 0, 0], [0, 0.5, 0.5]]))


def test_the_index_that_pandas_writes_is_no_dimension(tmp_path: Path, samples: pa.Table) -> None:
    one, other, *_ = samples["id"].to_pylist()
    file = written(tmp_path, f",id,x,Unnamed: 3\n0,{one},1.5,7\n1,{other},2.5,8\n")
    assert read_embeddings(file, samples).columns == ["x"]
    rows = {"id": [one, other], "x": [1.5, 2.5], "__index_level_0__": [4, 3]}
    pq.write_table(pa.table(rows), tmp_path / "mine.parquet")
    found = read_embeddings(tmp_path / "mine.parquet", samples)
    assert (found.columns, found.values.tolist()) == (["x"], [[1.5], [2.5]])


def test_a_file_without_rows_says_nothing(tmp_path: Path, samples: pa.Table) -> None:
    file = written(tmp_path, "name\n")
    assert read_predictions(file, samples, CLASSES).ids == []
    assert read_embeddings(file, samples).ids == []


def test_embeddings_are_columns_of_numbers_or_lists(tmp_path: Path, samples: pa.Table) -> None:
    ids = samples["id"].to_pylist()
    columns = read_embeddings(written(tmp_path, f"id,a,b\n{ids[1]},1,2\n{ids[0]},3,4.5\n"), samples)
    pq.write_table(
        pa.table({"id": [ids[1], ids[0]], "embedding": [[1.0, 2.0], [3.0, 4.5]]}), tmp_path / "lists.parquet"
    )
    lists = read_embeddings(tmp_path / "lists.parquet", samples)
    assert columns.ids == lists.ids == [ids[1], ids[0]]
    np.testing.assert_array_equal(columns.values, np.array([[1, 2], [3, 4.5]]))
    np.testing.assert_array_equal(lists.values, columns.values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,i,ii,iii\nx,1,0,0\n", "needs a column name or id"),
        ("name,i,ii\nx,1,0\n", "has no column 'iii'; it needs one a class"),
        ("name,i,ii,iii\ntrain/i/0.png,2,0,-1\n", "must hold probabilities that add up to 1"),
        ("name,i,ii,iii\ntrain/i/0.png,0.2,0.1,0.1\n", "must hold probabilities that add up to 1"),
        ("name,i,ii,iii\ntrain/i/0.png,a,b,c\n", "must hold numbers"),
        ("name,i,ii,iii\ntrain/i/0.png,,0.5,0.5\n", "has gaps or values that are no numbers"),
        ("name,i,ii,iii\ntrain/i/0.png,1,0,0\ntrain/i/0.png,0,1,0\n", "names 'train/i/0.png' twice"),
        ("name,i,ii,iii\ntrain/i/0.png,1,0\n", "is neither CSV in UTF-8 nor parquet"),
        ("name,i,ii,iii,i\ntrain/i/0.png,1,0,0,1\n", "must hold numbers"),
        ("name,i,ii,iii\n/home/me/9.png,1,0,0\n", "none of its 1 rows names an image, '/home/me/9.png' first"),
    ],
)
def test_what_is_refused(tmp_path: Path, samples: pa.Table, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_predictions(written(tmp_path, text), samples, CLASSES)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([[1.0], [1.0, 2.0]], "column embedding must hold lists of one length"),
        ([[1.0, 2.0], None], "column embedding must hold lists of one length"),
        ([["a"], ["b"]], "column embedding must hold lists of numbers"),
        ([[1.0, None], [1.0, 2.0]], "has gaps or values that are no numbers"),
        ([[], []], "columns must hold numbers"),
    ],
)
def test_lists_that_are_no_embedding_are_refused(
    tmp_path: Path, samples: pa.Table, lists: list[Any], message: str
) -> None:
    table = pa.table({"id": samples["id"].to_pylist()[:2], "embedding": lists})
    pq.write_table(table, tmp_path / "lists.parquet")
    with pytest.raises(UserError, match=message):
        read_embeddings(tmp_path / "lists.parquet", samples)


class Counted(np.ndarray[Any, Any]):
    """An array that may not become a list of Python's numbers."""

    def tolist(self) -> Any:
        raise AssertionError("a Python object for each number")


def test_numbers_stay_arrays_on_their_way_to_the_signals(
    tmp_path: Path, samples: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = samples["id"].to_pylist()
    values = np.random.default_rng(0).normal(size=(len(ids), 5))
    flat = pa.array(values.ravel())
    lists = pa.FixedSizeListArray.from_arrays(flat, 5)
    pq.write_table(pa.table({"id": ids, "embedding": lists}), tmp_path / "mine.parquet", row_group_size=2)
    empty = written(tmp_path, "name\n", "none.csv")
    stack = np.stack
    monkeypatch.setattr(np, "stack", lambda *args, **options: stack(*args, **options).view(Counted))
    main(str(empty), str(tmp_path / "mine.parquet"), prepared=tmp_path / "set", resolved=tmp_path / "out")
    told = read_user_signals(tmp_path / "out", samples)
    assert told.embedding is not None
    np.testing.assert_array_equal(told.embedding, values)


def test_more_rows_than_images_need_are_refused(tmp_path: Path, samples: pa.Table) -> None:
    assert samples.num_rows == 4
    message = r"has more than 1,016 rows, far more than images; keep the rows of these images"
    text = "name,a\n" + "x,1\n" * 1017
    with pytest.raises(UserError, match=message):
        read_embeddings(written(tmp_path, text), samples)
    with pytest.raises(UserError, match=message):
        read_embeddings(written(tmp_path, text.replace("\n", "\r")), samples)
    pq.write_table(pa.table({"name": ["x"] * 1017, "a": [1.0] * 1017}), tmp_path / "mine.parquet")
    with pytest.raises(UserError, match=message):
        read_embeddings(tmp_path / "mine.parquet", samples)


def test_a_small_file_that_unpacks_to_much_is_refused_before_it_does(tmp_path: Path, samples: pa.Table) -> None:
    (tmp_path / "one.csv.gz").write_bytes(gzip.compress(b"name,a\n" + bytes(30_000_000)))
    with pytest.raises(UserError, match=r"has .* bytes or more, far more than numbers for these images take"):
        read_embeddings(tmp_path / "one.csv.gz", samples)
    (tmp_path / "wide.csv").write_bytes(b"name" + b",a" * 40_000 + b"\n")
    with pytest.raises(UserError, match=r"has more than 32,768 values a row; keep those that are needed"):
        read_embeddings(tmp_path / "wide.csv", samples)
    pq.write_table(pa.table({"id": ["x"], "v": [[0.0] * 40_000_000]}), tmp_path / "lists.parquet")
    assert (tmp_path / "lists.parquet").stat().st_size < 100_000
    with pytest.raises(UserError, match=r"has more than 32,768 values a row"):
        read_embeddings(tmp_path / "lists.parquet", samples)
    word = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), ["x" * 100_000])
    pq.write_table(pa.table({"id": word.cast(pa.string()), "v": [0.0] * 1000}), tmp_path / "words.parquet")
    with pytest.raises(UserError, match=r"column id holds a word of more than 1,024 bytes; shorten it"):
        read_embeddings(tmp_path / "words.parquet", samples)


def test_columns_that_are_not_needed_are_not_even_read(tmp_path: Path, samples: pa.Table) -> None:
    ids = samples["id"].to_pylist()[:2]
    table = pa.table({"id": ids, "i": ["1", "0"], "ii": [0, 1], "iii": [0.0, 0.0], "picture": [b"x" * 10_000_000] * 2})
    pq.write_table(table, tmp_path / "mine.parquet")
    found = read_predictions(tmp_path / "mine.parquet", samples, CLASSES)
    assert found.ids == ids
    np.testing.assert_array_equal(found.values, np.array([[1, 0, 0], [0, 1, 0]]))


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, samples: pa.Table, kind: str) -> None:
    make = {"pipe": os.mkfifo, "folder": os.mkdir}[kind]
    make(tmp_path / "mine.csv")
    with pytest.raises(UserError, match=r"mine.csv is no file; correct its path in params.yaml"):
        read_predictions(tmp_path / "mine.csv", samples, CLASSES)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.csv", b"name,\xff\xfe\nx,1\n"),
        ("mine.csv", b"name,a\n\xff\xfe,1\n"),
        ("mine.csv", b'name,a\n"x\ny,1\nz,2,3\n'),
        ("mine.parquet", b"PAR1" + bytes(40) + b"PAR1"),
    ],
)
def test_bytes_that_are_no_table_are_one_line(tmp_path: Path, samples: pa.Table, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="is neither CSV in UTF-8 nor parquet") as caught:
        read_embeddings(tmp_path / name, samples)
    assert "\n" not in str(caught.value)


def test_a_blank_first_line_does_not_make_a_table_look_too_large(tmp_path: Path, samples: pa.Table) -> None:
    names = samples["name"].to_pylist()
    text = "\nname," + ",".join(f"v{number}" for number in range(600)) + "\n"
    text += "".join(f"{name}{',0.123456789' * 600}\n" for name in names)
    assert read_embeddings(written(tmp_path, text), samples).values.shape == (4, 600)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, samples: pa.Table) -> None:
    with pytest.raises(UserError, match=r"none.csv is missing; correct its path in params.yaml"):
        read_predictions(tmp_path / "none.csv", samples, CLASSES)


def test_the_stage_gives_signals_by_row_and_nan_where_nothing_is_said(tmp_path: Path, samples: pa.Table) -> None:
    ids = samples["id"].to_pylist()
    predictions = written(tmp_path, f"id,i,ii,iii\n{ids[1]},0.2,0.3,0.5\n")
    vectors = written(tmp_path, "name\n", "none.csv")
    main(str(predictions), str(vectors), prepared=tmp_path / "set", resolved=tmp_path / "out")
    told = read_user_signals(tmp_path / "out", samples)
    assert told.embedding is None
    assert told.probability is not None
    np.testing.assert_array_equal(told.probability[1], [0.2, 0.3, 0.5])
    assert np.isnan(told.probability[[0, 2, 3]]).all()
