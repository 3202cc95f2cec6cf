"""Copies of photographs by both stages: shard by shard, with features, and not too many of one image."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import pytest

from stages import augment_inversion
from tests.support.augmented import (
    ARMS,
    AUGMENT,
    CARD,
    COUNTS,
    by_augment,
    by_edge_cases,
    copies_in,
    photographs,
)
from tests.support.stages import jobs_here
from winnow.augmentation import rendered
from winnow.dataset import images as stored
from winnow.dataset.arrays import ArrayStore
from winnow.dataset.images import encode_jpeg, stored_images
from winnow.dataset.samples import only_splits, read_samples
from winnow.model import extraction
from winnow.pictures.decode import decode
from winnow.pipeline.files import digest


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """What both stages read beside the dataset, and the dataset."""
    return photographs(tmp_path)


def most_of_one(folder: Path) -> int:
    return max(Counter(row["parent"] for row in copies_in(folder)).values())


def test_every_copy_has_the_features_of_its_picture(inputs: dict[str, Path], tmp_path: Path) -> None:
    arms = by_augment(inputs, tmp_path)
    edges = by_edge_cases({**inputs, "dataset": arms["by_policy_inverted"]}, tmp_path, 20)
    for folder, stages in ((arms["by_random"], ["augment"]), (edges, ["augment", "augment_edge_cases"])):
        stores = [ArrayStore(folder / "features" / stage) for stage in stages]
        ids = [row["id"] for row in copies_in(folder)]
        assert sorted(one for store in stores for one in store.ids) == sorted(ids)
        for one, content in stored_images(folder, ids).items():
            pixels = decode(content, max_pixels=10**6)
            expected = ((pixels / 255 - np.array(CARD.mean)) / np.array(CARD.std)).mean(axis=(0, 1))
            (found,) = [store.row(one) for store in stores if one in store]
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def test_inverted_copies_fill_up_to_the_multiple_as_far_as_an_image_may_be_copied(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    given = {name: path for name, path in inputs.items() if name != "policy"}
    given["dataset"] = by_augment(inputs, tmp_path)["by_policy"]
    with mock.patch.object(extraction, "run_jobs", jobs_here):
        augment_inversion.main(0, 12, 2.0, 10000, **given, augmented=tmp_path / "filled")
    counts = Counter(read_samples(tmp_path / "filled")["label"].to_pylist())
    assert counts == {"a": 40, "b": 40, "c": 3 + 3 * 12}
    made = [row for row in copies_in(tmp_path / "filled") if row["origin"] == "inversion"]
    assert made
    assert all(row["operations"] == '[{"operation": "invert", "magnitude": 1.0}]' for row in made)
    assert set(ArrayStore(tmp_path / "filled/features/augment_inversion").ids) == {row["id"] for row in made}
    assert most_of_one(tmp_path / "filled") == 12


class Picture(bytes):
    """Bytes that are counted while something holds them."""

    held = 0
    counts: ClassVar[list[int]] = []  # one a picture that was made

    @classmethod
    def encoded(cls, pixels: Any) -> "Picture":
        picture = cls(encode_jpeg(pixels))
        cls.held += 1
        cls.counts.append(cls.held)
        return picture

    def __del__(self) -> None:
        Picture.held -= 1


def test_no_more_pictures_are_held_than_a_shard_has(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "SHARD_ROWS", 4)
    monkeypatch.setattr(rendered, "encode_jpeg", Picture.encoded)
    arms = by_augment(inputs, tmp_path)
    made = len(Picture.counts)
    assert made == 4 * (3 * 30 - sum(COUNTS.values()))
    by_edge_cases({**inputs, "dataset": arms["by_policy_inverted"]}, tmp_path, 20)
    assert len(Picture.counts) > made
    assert max(Picture.counts) <= 4 + 2  # a shard's, the one after it, and the one that is being made
    assert Picture.held == 0


def test_a_rare_class_stays_smaller_instead_of_having_many_copies_of_an_image(
    inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = by_augment(inputs, tmp_path, replace(AUGMENT, max_copies=4))
    said = capsys.readouterr().out
    assert said.endswith("; fewer in c (15), since an image has at most 4 copies (augment.max_copies)\n")
    for folder in arms.values():
        assert most_of_one(folder) == 4
        labels = Counter(only_splits(read_samples(folder), "train")["label"].to_pylist())
        assert labels == {"a": 30, "b": 30, "c": 15}
    edges = by_edge_cases({**inputs, "dataset": arms["by_policy_inverted"]}, tmp_path, 6)
    said = capsys.readouterr().out
    assert said.endswith("; fewer in c (21), since an image has at most 6 copies (augment.max_copies)\n")
    assert most_of_one(edges) == 6
    labels = Counter(only_splits(read_samples(edges), "train")["label"].to_pylist())
    assert labels == {"a": 40, "b": 40, "c": 21}


def test_a_bound_that_no_image_reaches_changes_nothing(inputs: dict[str, Path], tmp_path: Path) -> None:
    loose = by_augment(inputs, tmp_path / "loose", replace(AUGMENT, max_copies=1000))
    bound = by_augment(inputs, tmp_path / "bound", replace(AUGMENT, max_copies=9))  # 3 images of 30: nine copies each
    for arm in ARMS:
        assert digest([loose[arm]]) == digest([bound[arm]])
