"""Encoders written and read back; what is missing, damaged or of another dataset is told in one sentence."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from stages.train_encoder import Params, main
from tests.representation.test_contrastive import CONTRAST, TRAINING
from tests.support.datasets import make_dataset
from tests.support.inputs import competition_inputs
from tests.support.profiles import ENSEMBLE, FINETUNE, HEAD
from tests.support.refusals import refused_params
from winnow.dataset.samples import read_samples, samples_table
from winnow.pipeline.files import digest
from winnow.pipeline.messages import UserError
from winnow.representation.ensemble import Ensemble
from winnow.representation.files import read_networks, with_folds
from winnow.representation.out_of_fold import NO_FOLD

PARAMS = Params(seed=0, retrain=True, dataset="cleanse_influence/dataset", space="contrast", contrast=CONTRAST)
SEVERAL = replace(ENSEMBLE, repeats=2, network=TRAINING)


def train(dataset: Path, encoders: Path, params: Params = PARAMS) -> None:
    inputs = competition_inputs(dataset.parent, "model", "pixels", "features", "user")
    networks = dataset.parent / "ensemble"
    main(params, SEVERAL, HEAD, FINETUNE, dataset=dataset, networks=networks, encoders=encoders, **inputs)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(dataset, encoders)"""
    folder = tmp_path_factory.mktemp("encoders")
    dataset = make_dataset(folder / "in", {"train": 12, "val": 6, "label_book": 3, "test": 3})
    train(dataset, folder / "encoders")
    return dataset, folder / "encoders"


def test_every_fold_of_every_repeat_has_its_networks(trained: tuple[Path, Path]) -> None:
    dataset, folder = trained
    networks = read_networks(folder, classes=3)
    dealt, encoders = networks.folds, networks.encoders
    samples = {row["id"]: row["split"] for row in read_samples(dataset).to_pylist()}
    assert set(dealt) == {identifier for identifier, split in samples.items() if split != "test"}
    assert all(set(folds) == {NO_FOLD} for identifier, folds in dealt.items() if samples[identifier] == "label_book")
    assert [len(row) for row in encoders] == [2, 2]
    weights = [state["head.weight"].numpy() for row in encoders for state in row]
    assert len({array.tobytes() for array in weights}) == 4
    shapes = [state["head.bias"].shape for row in networks.classifiers for state in row]
    assert shapes == [(3,)] * 4  # of the three classes


def test_equal_runs_give_equal_bytes(trained: tuple[Path, Path], tmp_path: Path) -> None:
    dataset, folder = trained
    train(dataset, tmp_path / "again")
    assert digest([tmp_path / "again"]) == digest([folder])


def test_copies_have_the_fold_of_their_source_image(trained: tuple[Path, Path]) -> None:
    dataset, folder = trained
    dealt = read_networks(folder, classes=3).folds
    rows = [row for row in read_samples(dataset).to_pylist() if row["split"] in ("train", "val")]
    copies = [{**row, "id": f"copy of {row['id']}", "parent": row["id"], "origin": "random"} for row in rows[:5]]
    samples = samples_table([*copies, *rows], ["i", "ii", "iii"])
    roots, folds = with_folds(samples, dealt, folder)
    assert roots[:5].tolist() == [5, 6, 7, 8, 9]
    assert np.array_equal(folds[:, :5], folds[:, 5:10])
    stranger = samples_table([{**rows[0], "id": "a stranger"}], ["i", "ii", "iii"])
    with pytest.raises(UserError, match="has no fold of image a stranger"):
        with_folds(stranger, dealt, folder)


def test_a_missing_or_damaged_encoder_is_told(trained: tuple[Path, Path], tmp_path: Path) -> None:
    _, folder = trained
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "space-1-0.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"space-1-0\.safetensors is missing or damaged"):
        read_networks(tmp_path, classes=3)
    (tmp_path / "space-1-0.safetensors").unlink()
    with pytest.raises(UserError, match="run `dvc checkout"):
        read_networks(tmp_path, classes=3)
    save_file({"head.bias": torch.zeros(8)}, tmp_path / "space-1-0.safetensors")
    with pytest.raises(
        UserError, match=r"space-1-0\.safetensors holds other weights than ensemble and train_encoder write; run"
    ):
        read_networks(tmp_path, classes=3)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([], "deals no image"),
        ([[0, 1], [0]], "deals no image"),
        ([["a"], ["b"]], "must hold list"),
        ([[], []], "deals"),
    ],
)
def test_tampered_folds_are_told(trained: tuple[Path, Path], tmp_path: Path, folds: Any, message: str) -> None:
    shutil.copytree(trained[1], tmp_path / "encoders")
    ids = ["a", "b"][: len(folds)]
    pq.write_table(pa.table({"id": pa.array(ids, pa.string()), "folds": folds}), tmp_path / "encoders/folds.parquet")
    with pytest.raises(UserError, match=f"folds.parquet.* {message}"):
        read_networks(tmp_path / "encoders", classes=3)


def test_classifiers_of_other_classes_are_told(trained: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match="classifiers of 3 classes, the dataset has 4; run `dvc repro`"):
        read_networks(trained[1], classes=4)


def test_too_few_images_are_told_before_training(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "in", {"train": 2, "val": 1, "label_book": 3})
    with pytest.raises(UserError, match="has 3 train and val images, 2 folds need 4"):
        train(dataset, tmp_path / "out")
    with refused_params(Ensemble, "folds must be at least 2, got 1"):
        replace(ENSEMBLE, folds=1)


def test_where_the_classifiers_are_the_space_there_are_no_encoders(trained: tuple[Path, Path], tmp_path: Path) -> None:
    dataset, folder = trained
    train(dataset, tmp_path / "encoders", replace(PARAMS, space="classifier"))
    names = sorted(file.name for file in (tmp_path / "encoders").iterdir())
    assert names == sorted(file.name for file in folder.iterdir() if not file.name.startswith("space-"))
    networks = read_networks(tmp_path / "encoders", classes=3)
    assert networks.encoders == []
    assert [len(row) for row in networks.classifiers] == [2, 2]
    assert (tmp_path / "encoders/class-1-1.safetensors").read_bytes() == (folder / "class-1-1.safetensors").read_bytes()


def test_without_training_anew_the_networks_of_the_ensemble_are_read_back_as_they_are(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    """Nothing of an earlier run is left among them."""
    dataset, folder = trained
    shutil.copytree(folder, tmp_path / "ensemble", ignore=shutil.ignore_patterns("space-*"))
    (tmp_path / "encoders").mkdir()
    (tmp_path / "encoders/space-0-0.safetensors").write_bytes(b"of an earlier run")
    shutil.copytree(dataset, tmp_path / "in")
    train(tmp_path / "in", tmp_path / "encoders", replace(PARAMS, retrain=False, space="classifier"))
    assert digest([tmp_path / "encoders"]) == digest([tmp_path / "ensemble"])
    assert read_networks(tmp_path / "encoders", classes=3).encoders == []
