"""The gate refuses what surely harms, and nothing else."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages.gate import Params, main
from tests.support.datasets import make_dataset, no_overrides
from tests.support.inputs import competition_inputs
from tests.support.profiles import FINETUNE, HEAD
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import class_names, read_samples, samples_table
from winnow.evaluation.gate import decide
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError
from winnow.training.training import Profile
from winnow.verdicts.ledger import VERDICT_SCHEMA, read_ledger


def answers(accuracy: float, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((3, 400)) < accuracy


def test_a_harmful_round_is_refused_and_a_helpful_one_accepted() -> None:
    harmful, helpful = (
        decide(answers(0.6, seed=1), answers(0.8, seed=2)),
        decide(answers(0.8, seed=1), answers(0.6, seed=2)),
    )
    assert not harmful.accepted
    assert harmful.gain.high < 0
    assert helpful.accepted
    assert helpful.gain.low > 0


def test_within_the_noise_a_round_is_accepted() -> None:
    decision = decide(answers(0.79, seed=1), answers(0.8, seed=2))
    assert decision.gain.low < 0 < decision.gain.high
    assert decision.accepted


def test_equal_answers_are_no_reason_to_refuse() -> None:
    same = answers(0.7, seed=3)
    decision = decide(same, same)
    assert decision.accepted
    figures = decision.figures(images=400, seeds=3)
    assert figures["gain"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert figures["incoming"] == figures["candidate"]


PARAMS = Params(
    seeds=[0, 1],
    profile=Profile(epochs=10, batch=8, learning_rate=0.002, schedule="cosine", most_steps=300, precision="float32"),
)


def relabelled(dataset: Path, folder: Path) -> Path:
    """The dataset with every train and val image filed under the next class."""
    samples = read_samples(dataset)
    names = class_names(samples)
    rows = samples.to_pylist()
    for row in rows:
        if row["split"] != "label_book":
            row["label"] = names[(names.index(row["label"]) + 1) % len(names)]
    write_dataset(folder, samples_table(rows, names), shards_from=[dataset])
    return folder


def verdicts(folder: Path) -> Path:
    row = {
        "id": "a",
        "round": "r1",
        "stage": "cleanse_final",
        "action": "keep",
        "label_before": "i",
        "label_after": "i",
        "reason": "",
        "support": 1.0,
        "evidence": [],
        "by": "winnow",
    }
    path = folder / "data/r1/cleanse_final/verdicts.parquet"
    write_table(path, pa.Table.from_pylist([row], schema=VERDICT_SCHEMA))
    return path


def run(folder: Path, *, incoming: Path, candidate: Path, verdicts: list[Path]) -> None:
    main(
        PARAMS,
        HEAD,
        FINETUNE,
        incoming=incoming,
        candidate=candidate,
        verdicts=verdicts,
        overrides=no_overrides(folder),
        round="r1",
        accepted=folder / "out",
        metrics=folder / "g.json",
        **competition_inputs(folder, "model", "pixels", "features", "user"),
    )


def test_a_planted_harmful_round_is_refused_and_its_verdicts_with_it(tmp_path: Path) -> None:
    good = make_dataset(tmp_path / "good", {"train": 240, "val": 15, "label_book": 15})
    harmed = relabelled(good, tmp_path / "harmed")
    told = [verdicts(tmp_path)]
    run(tmp_path, incoming=good, candidate=harmed, verdicts=told)
    figures = json.loads((tmp_path / "g.json").read_text())
    assert not figures["accepted"]
    assert figures["gain"]["high"] < 0
    assert (figures["images"], figures["seeds"]) == (30, 2)
    assert read_samples(tmp_path / "out").equals(read_samples(good))
    assert read_ledger(tmp_path / "out").num_rows == 0


def test_a_planted_helpful_round_is_accepted_with_its_verdicts(tmp_path: Path) -> None:
    good = make_dataset(tmp_path / "good", {"train": 240, "val": 3, "label_book": 30})
    incoming = relabelled(good, tmp_path / "harmed")  # its val labels are wrong too, but the label book is not
    told = [verdicts(tmp_path)]
    run(tmp_path, incoming=incoming, candidate=good, verdicts=told)
    figures = json.loads((tmp_path / "g.json").read_text())
    assert figures["accepted"]
    assert figures["gain"]["low"] > 0
    ledger = read_ledger(tmp_path / "out")
    assert ledger.select(["round", "stage", "id"]).to_pylist() == [{"round": "r1", "stage": "cleanse_final", "id": "a"}]


def test_a_set_without_validation_images_is_told(tmp_path: Path) -> None:
    good = make_dataset(tmp_path / "good", {"train": 6, "val": 3, "label_book": 3})
    bare = make_dataset(tmp_path / "bare", {"train": 6, "label_book": 3})
    with pytest.raises(UserError, match="no val images are left"):
        run(tmp_path, incoming=good, candidate=bare, verdicts=[])
