"""The stage ensemble: who judges an image was not trained on it, nor on its copies, in any round."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages import ensemble
from tests.support.datasets import CLASSES
from tests.support.inputs import competition_inputs, no_pixels
from tests.support.profiles import ENSEMBLE, FINETUNE, HEAD
from tests.support.representation import make_representation
from winnow.dataset.arrays import write_rows
from winnow.dataset.images import read_images, write_dataset
from winnow.dataset.samples import label_indices, read_samples
from winnow.representation import ensemble as networks
from winnow.representation.files import read_networks, with_folds
from winnow.representation.out_of_fold import held_out_probabilities
from winnow.representation.predictions import read_probabilities


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_representation(tmp_path_factory.mktemp("representation"))


def judge(folder: Path, dataset: Path, delivered: Path) -> None:
    ensemble.main(
        ENSEMBLE,
        HEAD,
        FINETUNE,
        dataset=dataset,
        delivered=delivered,
        classes=folder / "classes.parquet",
        planted=folder / "planted.parquet",
        networks=folder / "networks",
        **competition_inputs(folder, "model", "pixels", "features", "user"),
    )


def test_the_ensemble_judges_every_image_by_what_left_it_out(folder: Path, tmp_path: Path) -> None:
    judge(tmp_path, folder / "set", folder / "set")
    source = read_samples(folder / "set")
    probability = read_probabilities(tmp_path / "classes.parquet", source)
    assert np.allclose(probability.sum(axis=1), 1, atol=1e-5)
    networks = read_networks(tmp_path / "networks", classes=3)
    roots, folds = with_folds(source, networks.folds, tmp_path)
    pixels = read_images(folder / "set", source["id"].to_pylist(), no_pixels(tmp_path))
    again = held_out_probabilities(pixels, label_indices(source), roots, folds, networks.classifiers)
    assert np.allclose(again, probability, atol=1e-6)
    planted = pq.read_table(tmp_path / "planted.parquet")
    assert planted.num_rows == ENSEMBLE.junk
    assert set(planted["label"].to_pylist()) <= set(CLASSES)


def test_a_later_round_learns_from_copies_and_judges_what_was_dropped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In as many updates as without copies; who judges an image has learnt from none of its copies."""
    augmented, first = read_samples(folder / "augmented"), read_samples(folder / "set")
    gone = first["id"][0].as_py()
    left = augmented.filter(pa.array([gone not in (row["id"], row["parent"]) for row in augmented.to_pylist()]))
    write_dataset(tmp_path / "in", left, shards_from=[folder / "augmented"])
    write_rows(
        tmp_path / "pixels", ((one, image[0]) for one in first["id"].to_pylist() for image in [pixels_of(folder, one)])
    )
    learnt: list[Any] = []

    def train(given: Any, labels: Any, book: Any, members: Any, classes: int, learning: Any) -> Any:
        learnt.append((members, learning.network.epochs))
        return networks.train_members(given, labels, book, members, classes, learning)

    monkeypatch.setattr(ensemble, "train_members", train)
    judge(tmp_path, tmp_path / "in", folder / "set")
    source = left.filter(left["parent"].is_null())
    judged = pa.concat_tables([source, first.slice(0, 1)])
    probability = read_probabilities(tmp_path / "classes.parquet", judged)
    assert np.allclose(probability.sum(axis=1), 1, atol=1e-5)
    ((members, epochs),) = learnt
    assert epochs == max(1, round(ENSEMBLE.network.epochs * len(source) / len(left)))
    dealt = read_networks(tmp_path / "networks", classes=3).folds
    copies = left.filter(left["parent"].is_valid())
    fold = [dealt[row["parent"] or row["id"]][0] for row in [*judged.to_pylist(), *copies.to_pylist()]]
    for number, one in enumerate(members):
        expected = [of != number and row != len(source) for row, of in enumerate(fold)]
        assert one.members.tolist() == expected


def pixels_of(folder: Path, identifier: str) -> Any:
    return read_images(folder / "set", [identifier], no_pixels(folder))
