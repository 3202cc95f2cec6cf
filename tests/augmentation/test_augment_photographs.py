"""Copies of photographs by both stages: shard by shard, with features, and not too many of one image."""

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from stages import augment, augment_edge_cases
from tests.support.backbones import card_of, write_module
from tests.support.stages import jobs_here
from winnow.augmentation import rendered
from winnow.dataset import images as stored
from winnow.dataset.arrays import ArrayStore, write_rows
from winnow.dataset.images import encode_jpeg, stored_images, write_dataset
from winnow.dataset.samples import only_source, only_splits, read_samples, sample_id, samples_table
from winnow.model import extraction
from winnow.model.squares import squares
from winnow.pictures.decode import decode
from winnow.pipeline.files import digest, write_json, write_table
from winnow.transforms.views import Ranges

MEANS = """
    import torch

    class Means(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3, 2)

        def features(self, x):
            return x.mean(dim=(2, 3))
"""
CARD = replace(card_of("python:photograph_means:Means", "default", 16), frozen=True)
RANGES = Ranges(rotate_degrees=10.0, shift=0.08, zoom=0.1, shear=0.1)
AUGMENT = augment.Params(seed=3, budget=1, multiple=1.5, max_copies=20, chained=1, inverted_share=0.4, affine=RANGES)
EDGES = augment_edge_cases.Params(seed=0, multiple=2.0, copies=12, inverted_share=0.3, affine=RANGES)
POLICY = {
    "sub_policies": [[{"operation": "rotate", "probability": 1.0, "magnitude": 0.8}]],
    "operations": ["rotate", "invert"],
    "limits": {},
    "cut": [],
}
ARMS = ("by_random", "by_policy", "by_policy_inverted", "by_affine")
COUNTS = {"a": 20, "b": 8, "c": 3}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """What both stages read beside the dataset, and the dataset."""
    rows: list[dict[str, object]] = []
    images = []
    for label, count in COUNTS.items():
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
            name, content = f"train/{label}/{number}.jpg", encode_jpeg(pixels)
            one = sample_id(name, content)
            row = {"id": one, "name": name, "split": "train", "label": label, "given_label": label, "origin": "source"}
            rows.append(row | {"pixel_hash": one, "channels": 3, "width": 32, "height": 24, "group": one})
            images.append((one, content))
    write_dataset(tmp_path / "set", samples_table(rows, list(COUNTS)), images=images)
    write_json(tmp_path / "model.json", CARD.to_json())
    (tmp_path / "policy.json").write_text(json.dumps(POLICY))
    for folder in ("user", "pixels"):
        (tmp_path / folder).mkdir()
    sys.modules.pop("photograph_means", None)  # of the test before
    write_module(tmp_path / "user", "photograph_means", MEANS)
    write_rows(tmp_path / "pixels", squares(tmp_path / "set", [one for one, _ in images], CARD))
    files = {"dataset": "set", "model": "model.json", "policy": "policy.json", "user": "user", "pixels": "pixels"}
    return {option: tmp_path / name for option, name in files.items()}


def by_augment(inputs: dict[str, Path], folder: Path, params: augment.Params = AUGMENT) -> dict[str, Path]:
    arms = {arm: folder / arm for arm in ARMS}
    with mock.patch.object(extraction, "run_jobs", jobs_here):
        augment.main(params, 10000, **inputs, **arms)
    return arms


def by_edge_cases(inputs: dict[str, Path], folder: Path, max_copies: int) -> Path:
    source = only_source(only_splits(read_samples(inputs["dataset"]), "train"))
    distance = np.linspace(0, 1, len(source))
    edges = pa.table([source["id"], distance, distance > 0.7], schema=augment_edge_cases.EDGE_SCHEMA)
    write_table(folder / "edges.parquet", edges)
    with mock.patch.object(extraction, "run_jobs", jobs_here):
        augment_edge_cases.main(
            EDGES, 10000, max_copies, **inputs, edge_cases=folder / "edges.parquet", augmented=folder / "edges"
        )
    return folder / "edges"


def copies_in(folder: Path) -> list[dict[str, Any]]:
    return [row for row in read_samples(folder).to_pylist() if row["parent"] is not None]


def most_of_one(folder: Path) -> int:
    return max(Counter(row["parent"] for row in copies_in(folder)).values())


def test_every_copy_has_the_features_of_its_picture(inputs: dict[str, Path], tmp_path: Path) -> None:
    arms = by_augment(inputs, tmp_path)
    edges = by_edge_cases({**inputs, "dataset": arms["by_policy_inverted"]}, tmp_path, 20)
    for folder, stages in ((arms["by_random"], ["augment"]), (edges, ["augment", "augment_edge_cases"])):
        stores = [ArrayStore(folder / "features" / stage) for stage in stages]
        ids = [row["id"] for row in copies_in(folder)]
        assert sorted(one for store in stores for one in store.places) == sorted(ids)
        for one, content in stored_images(folder, ids).items():
            pixels = decode(content, max_pixels=10**6)
            expected = ((pixels / 255 - np.array(CARD.mean)) / np.array(CARD.std)).mean(axis=(0, 1))
            (found,) = [store.row(one) for store in stores if one in store]
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


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
