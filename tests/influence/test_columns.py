"""The columns of effects: what they are called, and which label-book images they stand for."""

import numpy as np
import pytest

from winnow.influence import columns as columns_module
from winnow.influence.columns import book_columns

IDS = ["a1", "b2", "c3", "d4"]


def test_one_column_an_image() -> None:
    columns = book_columns(IDS, np.array([1, 0, 1, 1]), ["x", "y"], by_class=False)
    assert columns.names == columns.shown == IDS
    assert columns.of.tolist() == [0, 1, 2, 3]
    assert columns.dtype == np.float64


def test_one_column_a_class_that_the_label_book_has_shown_by_its_first_image() -> None:
    columns = book_columns(IDS, np.array([3, 1, 3, 1]), ["x", "y", "z", "w"], by_class=True)
    assert columns.names == ["class:y", "class:w"]
    assert columns.shown == ["b2", "a1"]
    assert columns.of.tolist() == [1, 0, 1, 0]
    assert columns.dtype == np.float32


def test_no_class_is_named_as_an_id_or_as_another_column() -> None:
    classes = ["id", "min", "harm_p", "a1", "class:id"]
    names = book_columns([*IDS, "e5"], np.arange(5), classes, by_class=True).names
    assert len(set(names)) == 5
    assert not {"id", "min", "mean", "label_quality", "score", "harm", "harm_p", *IDS} & set(names)


def test_what_is_counted_in_words() -> None:
    images = book_columns(IDS, np.zeros(4, int), ["x"], by_class=False)
    classes = book_columns(IDS, np.arange(4), list("wxyz"), by_class=True)
    assert [images.counted(n) for n in (0, 1)] == ["no label-book image", "1 label-book image"]
    assert images.counted() == "4 label-book images"
    assert [classes.counted(n) for n in (0, 1)] == ["no class of the label book", "1 class of the label book"]
    assert classes.counted() == "4 classes of the label book"


def test_blocks_cover_the_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_module, "BLOCK", 3)
    columns = book_columns(IDS, np.zeros(4, int), ["x"], by_class=False)
    assert columns.blocks == [range(3), range(3, 4)]
