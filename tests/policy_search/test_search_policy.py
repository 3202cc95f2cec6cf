"""The search_policy stage on a small dataset: what it writes, and what it refuses before it trains."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from stages import ensemble, search_policy
from stages.search_policy import Params, main
from tests.support.datasets import CLASSES, make_dataset
from tests.support.inputs import competition_inputs
from tests.support.profiles import ENSEMBLE, FINETUNE, HEAD, LABEL_CHECK
from winnow.augmentation.policy_file import load_policy
from winnow.dataset.samples import read_samples, samples_table
from winnow.model.inputs import Inputs
from winnow.pipeline.files import digest, write_table
from winnow.pipeline.messages import UserError
from winnow.policy_search.backbone_check import BackboneCheck
from winnow.policy_search.candidates import Candidate
from winnow.policy_search.halving import TRIALS
from winnow.policy_search.judged import Halving
from winnow.policy_search.label_check import CUT
from winnow.policy_search.looks import NOT_SHOWN
from winnow.policy_search.search import CURVE, Settings
from winnow.policy_search.sheet import TABLE

OFFERED = ["shear_x", "gaussian_noise"]
CANDIDATES = {
    "mild": Candidate(geometry=0.25, appearance=0.25, own={}, stages=1, chained=2),
    "strong": Candidate(geometry=1.0, appearance=1.0, own={}, stages=0, chained=1),
    "nothing": Candidate(geometry=0.0, appearance=0.0, own={}, stages=1, chained=1),
}
PARAMS = Params(
    seed=0,
    by="critic",
    fixed="mild",
    candidates=CANDIDATES,
    halving=Halving(sub_policies=5, images=20, folds=2, copies=1, rungs=[2, 4], batch=8, learning_rate=0.001),
    shown_look=0.0,
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


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def run(folder: Path, dataset: Path, params: Params = PARAMS) -> Path:
    names = {
        "policy": "policy.json",
        "table": "table.csv",
        "curve": "curve.csv",
        "trials": "trials.csv",
        "sheet": "sheet.png",
    }
    inputs = competition_inputs(dataset.parent, "model", "pixels", "features", "user", "networks")
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
    assert (out / "trials.csv").read_text().splitlines() == [",".join(TRIALS)]
    assert (policy.chained, policy.candidate) == (None, None)
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.format == "PNG"
    torch.manual_seed(5)  # the global state is not what draws
    assert digest([run(tmp_path / "again", dataset)]) == digest([out])


def judged_by_ensemble(dataset: Path) -> None:
    """What the stage ensemble leaves beside a dataset."""
    inputs = competition_inputs(dataset.parent, "model", "pixels", "features", "user", "networks")
    written = {name: dataset.parent / f"{name}.parquet" for name in ("classes", "planted")}
    ensemble.main(ENSEMBLE, HEAD, FINETUNE, dataset=dataset, delivered=dataset, **inputs, **written)


def test_by_the_ensemble_no_classifier_is_trained_for_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 24, "val": 6, "label_book": 3})
    judged_by_ensemble(dataset)
    monkeypatch.setattr(search_policy, "find_limits", None)  # calling it would fail
    params = replace(PARAMS, by="fixed", label_check=replace(LABEL_CHECK, by="ensemble"))
    out = run(tmp_path / "first", dataset, params)
    policy = load_policy(out / "policy.json")
    assert set(policy.limits) == {*OFFERED, "invert"}
    assert {row["images"] for row in policy.cut} == {8}
    assert digest([run(tmp_path / "again", dataset, params)]) == digest([out])
    few = read_samples(dataset).slice(0, 20)
    write_table(dataset / "samples.parquet", few)  # the verdict dropped the others
    run(tmp_path / "fewer", dataset, params)
    other = make_dataset(tmp_path / "other", {"train": 24}, seed=1)
    with pytest.raises(UserError, match=r"has no fold of image .* and 23 others; run `dvc repro`"):
        run(tmp_path / "unknown", other, params)


def test_by_the_judge_the_policy_is_that_of_the_candidate_that_won(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 24, "val": 6})
    params = replace(PARAMS, by="judge")
    out = run(tmp_path / "first", dataset, params)
    policy, trials = load_policy(out / "policy.json"), rows_of(out / "trials.csv")
    assert list(trials[0]) == list(TRIALS)
    assert [(row["rung"], row["updates"]) for row in trials] == [("1", "2")] * 2  # the better of two has won
    assert {row["candidate"] for row in trials} == {"mild", "strong"}  # the other changes nothing
    assert [row["goes_on"] for row in trials] == ["yes", "no"]
    assert policy.candidate == trials[0]["candidate"]
    assert policy.chained == CANDIDATES[policy.candidate].chained
    assert len(policy.sub_policies) == 5
    assert list(policy.operations) == OFFERED
    assert set(policy.limits) == {*OFFERED, "invert"}
    assert (out / "curve.csv").read_text().splitlines() == [",".join(["step", *CURVE])]
    assert digest([run(tmp_path / "again", dataset, params)]) == digest([out])


def test_the_fixed_candidate_is_taken_without_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 24, "val": 6})
    monkeypatch.setattr(search_policy, "search_by_judge", None)  # calling either would fail
    monkeypatch.setattr(search_policy, "search", None)
    out = run(tmp_path / "out", dataset, replace(PARAMS, by="fixed", fixed="strong"))
    policy = load_policy(out / "policy.json")
    assert (policy.candidate, policy.chained) == ("strong", CANDIDATES["strong"].chained)
    assert {step.operation for steps in policy.sub_policies for step in steps} == set(OFFERED)
    assert len(rows_of(out / "trials.csv")) == 0
    with pytest.raises(ValueError, match=r"fixed must be one of candidates \(mild, strong, nothing\), got 'wild'"):
        replace(PARAMS, fixed="wild")


def test_with_a_backbone_the_critic_searches_whoever_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else features of every candidate's copies would have to be extracted."""
    dataset = make_dataset(tmp_path / "set", {"train": 24})
    monkeypatch.setattr(Inputs, "on_features", property(lambda _: True))
    monkeypatch.setattr(search_policy, "search_by_judge", None)  # calling it would fail
    out = run(tmp_path / "out", dataset, replace(PARAMS, by="judge", limits=False))
    assert load_policy(out / "policy.json").candidate is None


def test_candidates_that_change_nothing_are_one_sentence(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 24})
    params = replace(PARAMS, by="judge", fixed="nothing", candidates={"nothing": CANDIDATES["nothing"]})
    with pytest.raises(UserError, match=r"nothing of search_policy.candidates would change no image by the operations"):
        run(tmp_path / "out", dataset, params)


def test_copies_are_not_inverted_where_no_delivered_image_is(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "set", {"train": 24, "val": 6})  # noise, the third class darker or brighter
    never = load_policy(run(tmp_path / "never", dataset, replace(PARAMS, shown_look=0.99)) / "policy.json")
    assert set(never.limits["invert"].values()) == {0.0}
    assert {row["verdict"] for row in never.cut if row["operation"] == "invert"} <= {NOT_SHOWN, CUT}
    asked = load_policy(run(tmp_path / "asked", dataset) / "policy.json")
    assert NOT_SHOWN not in {row["verdict"] for row in asked.cut}
    assert {name: asked.limits[name] for name in OFFERED} == {name: never.limits[name] for name in OFFERED}


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
