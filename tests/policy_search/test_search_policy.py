"""The search_policy stage on a small dataset: what it writes, and what it refuses before it trains."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from stages.search_policy import Params, main
from tests.support.datasets import CLASSES, make_dataset
from tests.support.inputs import competition_inputs
from tests.support.profiles import HEAD, LABEL_CHECK
from winnow.augmentation.policy_file import load_policy
from winnow.dataset.samples import read_samples, samples_table
from winnow.pipeline.files import digest, write_table
from winnow.pipeline.messages import UserError
from winnow.policy_search.backbone_check import BackboneCheck
from winnow.policy_search.search import CURVE, Settings
from winnow.policy_search.sheet import TABLE

OFFERED = ["shear_x", "gaussian_noise"]
PARAMS = Params(
    seed=0,
    search=Settings(
        operations=OFFERED,
        sub_policies=4,
        stages=2,
        searches=2,
        steps=3,
        batch=4,
        learning_rate=0.01,
        critic_learning_rate=0.001,
        mixture=False,
        reach=0.1,
        variety=0.0,
        classifier_steps=1,
        classifier_batch=8,
    ),
    limits=True,
    label_check=LABEL_CHECK,
    backbone_check=BackboneCheck(folds=2, images=6, magnitudes=[0.5, 1.0]),
)


def run(folder: Path, dataset: Path, params: Params = PARAMS) -> Path:
    names = {"policy": "policy.json", "table": "table.csv", "curve": "curve.csv", "sheet": "sheet.png"}
    inputs = competition_inputs(dataset.parent, "model", "pixels", "features", "user")
    main(params, HEAD, dataset=dataset, **inputs, **{key: folder / name for key, name in names.items()})
    return folder


def test_the_stage_writes_a_policy_and_what_people_look_at(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 24, "val": 6, "label_book": 3})
    out = run(tmp_path / "first", dataset)
    policy = load_policy(out / "policy.json")
    assert list(policy.operations) == OFFERED
    assert set(policy.limits) == {*OFFERED, "invert"}  # augment inverts copies whatever is offered
    assert all(list(by_class) == CLASSES for by_class in policy.limits.values())
    assert {(row["operation"], row["class"]) for row in policy.cut} == {(o, c) for o in policy.limits for c in CLASSES}
    assert "invert" not in OFFERED
    refused = {name for name, by_class in policy.limits.items() if max(by_class.values()) == 0}
    assert not refused & {step.operation for steps in policy.sub_policies for step in steps}
    table = list(csv.reader(io.StringIO((out / "table.csv").read_text())))
    assert tuple(table[0]) == TABLE
    assert [row[2] for row in table[1:]] == [step.operation for steps in policy.sub_policies for step in steps]
    curve = list(csv.reader(io.StringIO((out / "curve.csv").read_text())))
    assert curve[0] == ["step", *CURVE]
    assert [row[0] for row in curve[1:]] == ["1", "2", "3"]
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.format == "PNG"
    torch.manual_seed(5)  # the global state is not what draws
    assert digest([run(tmp_path / "again", dataset)]) == digest([out])


def test_as_published_no_label_is_checked_and_no_class_has_a_limit(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 24})
    published = replace(PARAMS, limits=False, search=replace(PARAMS.search, mixture=True))
    policy = load_policy(run(tmp_path / "out", dataset, published) / "policy.json")
    assert (policy.limits, policy.cut) == ({}, ())
    assert {step.operation for steps in policy.sub_policies for step in steps} <= set(OFFERED)
    assert policy != load_policy(
        run(tmp_path / "other", dataset, replace(published, search=PARAMS.search)) / "policy.json"
    )


def test_only_train_images_matter(tmp_path: Path) -> None:
    small = make_dataset(tmp_path / "small", {"train": 24})
    large = make_dataset(tmp_path / "large", {"train": 24, "val": 9, "label_book": 6})
    assert digest([run(tmp_path / "a", small)]) == digest([run(tmp_path / "b", large)])


@pytest.mark.parametrize("count", [0, 1])
def test_a_class_without_two_images_is_one_sentence_before_training(tmp_path: Path, count: int) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 5, "val": 6})  # 2, 2 and 1
    samples = read_samples(dataset)
    rows = [row for row in samples.to_pylist() if count or (row["split"], row["label"]) != ("train", "iii")]
    write_table(dataset / "samples.parquet", samples_table(rows, CLASSES))
    with pytest.raises(UserError, match=f"class iii has {count} training images; 2 are the least"):
        run(tmp_path, dataset)
    assert not (tmp_path / "policy.json").exists()
