"""The ensemble: who learns from what, and that nobody judges what it learnt from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import make_dataset
from tests.support.profiles import ENSEMBLE
from winnow.dataset.samples import column, only_splits, read_samples
from winnow.pipeline.messages import UserError
from winnow.representation.ensemble import deal_source, members_of
from winnow.representation.out_of_fold import NO_FOLD


def test_every_image_is_left_out_once_a_repeat_and_the_label_book_never(tmp_path: Path) -> None:
    source = read_samples(make_dataset(tmp_path / "set", {"train": 20, "val": 6, "label_book": 3}))
    several = replace(ENSEMBLE, folds=3, repeats=2)
    dealt = deal_source(source, several, np.random.default_rng(0), tmp_path)
    book = column(source, "split") == "label_book"
    assert dealt.shape == (2, 29)
    assert (dealt[:, book] == NO_FOLD).all()
    assert set(np.unique(dealt[:, ~book])) == {0, 1, 2}
    assert not np.array_equal(*dealt)
    members = members_of(dealt, several, np.random.default_rng(1))
    assert len(members) == 6
    assert len({one.seed for one in members}) == 6
    left_out = np.array([~one.members for one in members])
    assert (left_out.sum(axis=0) == np.where(book, 0, 2)).all()
    for number, one in enumerate(members):  # by repeat, then by fold
        assert np.array_equal(one.members, dealt[number // 3] != number % 3)


def test_images_of_a_group_are_left_out_together(tmp_path: Path) -> None:
    source = read_samples(make_dataset(tmp_path / "set", {"train": 24, "label_book": 3}))
    groups = [f"g{number % 5}" for number in range(27)]
    source = source.set_column(source.column_names.index("group"), source.schema.field("group"), [groups])
    (dealt,) = deal_source(source, ENSEMBLE, np.random.default_rng(0), tmp_path)
    for name in set(groups):
        assert len({fold for fold, group in zip(dealt[:24].tolist(), groups, strict=False) if group == name}) == 1


def test_too_few_images_for_the_folds_are_one_sentence(tmp_path: Path) -> None:
    samples = read_samples(make_dataset(tmp_path / "set", {"train": 5, "label_book": 9}))
    with pytest.raises(UserError, match=r"set has 5 train and val images, 3 folds need 6"):
        deal_source(samples, replace(ENSEMBLE, folds=3), np.random.default_rng(0), tmp_path / "set")
    assert len(only_splits(samples, "train")) == 5
