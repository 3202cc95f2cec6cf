"""What an arm takes of a dataset, and what it refuses."""

from pathlib import Path

import pytest

from stages import arm as arm_stage
from tests.support.datasets import make_dataset
from tests.support.inputs import competition_card
from winnow.dataset.samples import column, read_samples
from winnow.pipeline.messages import UserError


def test_an_arm_has_train_and_val_alone_and_the_same_shards(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", {"train": 5, "val": 3, "label_book": 4})
    arm_stage.main(8, dataset=dataset, model=competition_card(tmp_path), arm=tmp_path / "arm")
    samples, whole = read_samples(tmp_path / "arm"), read_samples(dataset)
    assert samples.equals(whole.slice(0, 8))
    assert column(samples, "split").tolist() == ["train"] * 5 + ["val"] * 3
    shards = [
        {path.name: path.read_bytes() for path in (tmp_path / d / "images").iterdir()} for d in ("dataset", "arm")
    ]
    assert shards[0] == shards[1]


def test_an_arm_with_too_many_images_is_refused(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", {"train": 5, "val": 3, "label_book": 4})
    with pytest.raises(UserError, match=r"train and val may hold 7 images together \(judge.max_images\), got 8"):
        arm_stage.main(7, dataset=dataset, model=competition_card(tmp_path), arm=tmp_path / "arm")
    assert not (tmp_path / "arm").exists()


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_arm_without_a_side_is_refused(tmp_path: Path, split: str) -> None:
    counts = {"train": 5, "val": 3, "label_book": 4} | {split: 0}
    dataset = make_dataset(tmp_path / "dataset", counts)
    with pytest.raises(UserError, match=f"no {split} images are left"):
        arm_stage.main(10, dataset=dataset, model=competition_card(tmp_path), arm=tmp_path / "arm")
