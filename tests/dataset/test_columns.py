"""What is computed on whole columns equals what a loop over the rows computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.datasets import make_dataset
from winnow.dataset.images import encode_png, write_with_copies
from winnow.dataset.samples import (
    class_names,
    column,
    group_indices,
    label_indices,
    only_splits,
    read_samples,
    samples_table,
)
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError

CLASSES = ["b", "a", "é"]
PNG = encode_png(np.zeros((2, 2, 1), np.uint8))
rows = st.lists(
    st.fixed_dictionaries(
        {
            "label": st.sampled_from(CLASSES),
            "group": st.sampled_from(["", "x", "X", "é", "zz", "𝒳", None]),
            "split": st.sampled_from(["train", "val", "label_book"]),
        }
    ),
    max_size=30,
)


@given(rows)
def test_columns_equal_loops(found: list[dict[str, Any]]) -> None:
    halves = [samples_table(part, CLASSES) for part in (found[: len(found) // 2], found[len(found) // 2 :])]
    samples = pa.concat_tables(halves)  # in two pieces
    assert class_names(samples) == CLASSES
    assert label_indices(samples).tolist() == [CLASSES.index(row["label"]) for row in found]
    groups = [row["group"] or "" for row in found]
    assert column(samples, "group").tolist() == groups
    assert group_indices(samples).tolist() == [sorted(set(groups)).index(group) for group in groups]
    kept = [row for row in found if row["split"] in ("train", "val")]
    assert only_splits(samples, "train", "val").select(["label", "group", "split"]).to_pylist() == kept


def test_a_label_that_is_no_class_is_a_callers_mistake() -> None:
    with pytest.raises(KeyError, match="unknown"):
        label_indices(samples_table([{"label": "a"}, {"label": "unknown"}], CLASSES))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row, first: row | {"id": first["id"]}, "an id occurs twice"),
        (lambda row, _: row | {"id": None}, "a sample has no id"),
        (lambda row, _: row | {"id": "a/../b"}, "'a/../b' is no id"),
        (lambda row, _: row | {"id": "ab\n"}, r"'ab\\n' is no id"),
        (lambda row, _: row | {"id": ""}, "'' is no id"),
        (lambda row, _: row | {"parent": "../x"}, "'../x' is no id"),
        (lambda row, _: row | {"label": "iv"}, "'iv' is no label"),
        (lambda row, _: row | {"label": None}, "None is no label"),
        (lambda row, _: row | {"split": "all"}, "'all' is no split"),
    ],
)
def test_contents_that_no_stage_writes_are_noticed(
    tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]], said: str
) -> None:
    folder = make_dataset(tmp_path / "set", {"train": 4, "val": 2})
    first, *others, last = read_samples(folder).to_pylist()
    write_table(folder / "samples.parquet", samples_table([first, *others, change(last, first)], ["i", "ii", "iii"]))
    with pytest.raises(UserError, match=f"was tampered with: {said}; bring it back"):
        read_samples(folder)


def test_a_table_with_copies_is_that_of_its_rows_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winnow.dataset.images.SHARD_ROWS", 3)
    dataset = make_dataset(tmp_path / "set", {"train": 4, "val": 2})
    samples = read_samples(dataset)
    for count in (0, 2, 3, 7):
        copies = [{**samples.slice(0, 1).to_pylist()[0], "id": f"c{n}", "parent": "p"} for n in range(count)]
        out = tmp_path / f"out{count}"
        ids = write_with_copies(out, samples, ((row, (row["id"], PNG)) for row in copies), shards_from=[dataset])
        assert ids == [row["id"] for row in copies]
        whole = samples_table([*samples.to_pylist(), *copies], class_names(samples))
        write_table(tmp_path / "whole.parquet", whole)
        assert (out / "samples.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
        assert np.array_equal(label_indices(read_samples(out)), label_indices(whole))
