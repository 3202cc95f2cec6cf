"""What an arm takes of a dataset: all of it, or a sample where the judge allows fewer images."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages import arm as arm_stage
from tests.support.datasets import make_dataset
from tests.support.inputs import CARD, competition_card
from winnow.dataset.samples import LEAST, column, read_samples, samples_table
from winnow.dataset.sampling import stratified_sample
from winnow.pipeline.files import write_json
from winnow.pipeline.messages import UserError


def run(folder: Path, dataset: Path, most: int, *, seed: int = 0, model: Path | None = None) -> pa.Table:
    arm_stage.main(
        arm_stage.Params(seed),
        most,
        dataset=dataset,
        model=model or competition_card(folder),
        arm=folder / "arm",
        metrics=folder / "arm.json",
    )
    return read_samples(folder / "arm")


def test_an_arm_has_train_and_val_alone_and_the_same_shards(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", {"train": 5, "val": 3, "label_book": 4})
    samples = run(tmp_path, dataset, 8)
    assert samples.equals(read_samples(dataset).slice(0, 8))
    assert column(samples, "split").tolist() == ["train"] * 5 + ["val"] * 3
    shards = [
        {path.name: path.read_bytes() for path in (tmp_path / d / "images").iterdir()} for d in ("dataset", "arm")
    ]
    assert shards[0] == shards[1]
    figures = {"train": 5, "val": 3, "sampled": False, "whole_train": 5, "whole_val": 3}
    assert json.loads((tmp_path / "arm.json").read_text()) == figures


def test_a_larger_dataset_is_represented_by_a_sample_which_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset(tmp_path / "dataset", {"train": 40, "val": 10, "label_book": 4})
    samples, whole = run(tmp_path, dataset, 20), read_samples(dataset)
    assert len(samples) == 20
    said = capsys.readouterr().out
    assert "16 train and 4 val images, a sample of 40 and 10 (judge.max_images is 20)" in said
    figures = {"train": 16, "val": 4, "sampled": True, "whole_train": 40, "whole_val": 10}
    assert json.loads((tmp_path / "arm.json").read_text()) == figures
    places = [whole["id"].to_pylist().index(one) for one in samples["id"].to_pylist()]
    assert places == sorted(places)
    assert samples.equals(whole.take(places))
    assert run(tmp_path, dataset, 20).equals(samples)
    assert not run(tmp_path, dataset, 20, seed=1).equals(samples)


def test_the_limit_is_the_competitions_alone(tmp_path: Path) -> None:
    dataset, card = make_dataset(tmp_path / "dataset", {"train": 5, "val": 3}), tmp_path / "own.json"
    write_json(card, replace(CARD, model="python:some:model").to_json())
    assert len(run(tmp_path, dataset, 4, model=card)) == 8


def table(counts: dict[tuple[str, str], int]) -> pa.Table:
    rows: list[dict[str, object]] = [
        {"id": f"{split}{label}{number}", "split": split, "label": label}
        for (split, label), count in counts.items()
        for number in range(count)
    ]
    return samples_table(rows, sorted({label for _, label in counts}))


def counted(samples: pa.Table) -> dict[tuple[str, str], int]:
    found = samples.group_by(["split", "label"]).aggregate([("id", "count")]).to_pylist()
    return {(row["split"], row["label"]): row["id_count"] for row in found}


@pytest.mark.parametrize("most", [12, 50, 173, 400])
def test_classes_and_splits_keep_their_share_and_small_classes_stay(most: int) -> None:
    counts = {("train", "a"): 500, ("train", "b"): 200, ("train", "c"): 3}
    counts |= {("val", "a"): 200, ("val", "b"): 80, ("val", "c"): 1}
    drawn = counted(stratified_sample(table(counts), most=most, seed=0))
    assert sum(drawn.values()) == most
    for (split, label), count in counts.items():
        share = most * count / sum(counts.values())
        assert drawn[split, label] >= min(count, LEAST[split])
        assert abs(drawn[split, label] - share) < 1 + sum(LEAST.values())


def test_few_validation_images_stay_whole() -> None:
    counts = {("train", "a"): 500, ("train", "b"): 500, ("val", "a"): 10, ("val", "b"): 10}
    assert counted(stratified_sample(table(counts), most=100, seed=0)) == {
        **{("train", "a"): 40, ("train", "b"): 40},
        **{("val", "a"): 10, ("val", "b"): 10},
    }


def test_samples_of_datasets_that_share_images_share_theirs() -> None:
    whole = table({("train", "a"): 500, ("train", "b"): 500, ("val", "a"): 100, ("val", "b"): 100})
    part = whole.filter(pa.array(np.random.default_rng(0).random(len(whole)) < 0.9))
    both = [set(stratified_sample(one, most=600, seed=0)["id"].to_pylist()) for one in (whole, part)]
    there = set(part["id"].to_pylist())
    assert len(both[0] & both[1]) / len(both[0] & there) > 0.95  # two draws apart would share two thirds


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_arm_without_a_side_is_refused(tmp_path: Path, split: str) -> None:
    counts = {"train": 5, "val": 3, "label_book": 4} | {split: 0}
    dataset = make_dataset(tmp_path / "dataset", counts)
    with pytest.raises(UserError, match=f"no {split} images are left"):
        run(tmp_path, dataset, 10)
