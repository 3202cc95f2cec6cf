"""The gate accepts a round whose cleansing and copies are each surely not worse than the margin."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from stages.gate import Params, Side, cross_fitted, main
from tests.support.datasets import make_dataset, no_overrides
from tests.support.inputs import competition_inputs
from tests.support.profiles import FINETUNE, HEAD
from winnow.dataset.images import encode_png, read_images, write_dataset
from winnow.dataset.samples import class_names, read_samples, samples_table
from winnow.evaluation.gate import Decision, decide
from winnow.evaluation.intervals import Interval
from winnow.model.learner import FixedLearner
from winnow.pipeline.files import write_table
from winnow.pipeline.messages import UserError
from winnow.training.training import Labelled, Profile
from winnow.verdicts.ledger import VERDICT_SCHEMA, read_ledger

MARGIN = 0.03
ALONE = np.arange(400).astype(str)  # a group for each image
FOLDS = np.stack([np.random.default_rng(repeat).permutation(np.arange(400) % 2) for repeat in range(3)])


def answers(accuracy: float, *, seed: int, shape: tuple[int, int] = (3, 400)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < accuracy


def decided(incoming: float, cleansed: float, candidate: float) -> Decision:
    right = [answers(p, seed=number) for number, p in enumerate((incoming, cleansed, candidate))]
    return decide(incoming=right[0], cleansed=right[1], candidate=right[2], folds=FOLDS, groups=ALONE, margin=MARGIN)


def low(gain: Interval | None) -> float:
    assert gain is not None
    return gain.low


def test_a_helpful_round_is_accepted() -> None:
    decision = decided(0.6, 0.75, 0.9)
    assert decision.accepted
    assert min(low(decision.cleansing), low(decision.augmentation), decision.gain.low) > 0


def test_a_harmful_cleansing_is_refused_however_much_the_copies_gain() -> None:
    decision = decided(0.7, 0.6, 0.95)
    assert not decision.accepted
    assert decision.gain.low > 0


def test_harmful_copies_are_refused_however_much_the_cleansing_gains() -> None:
    decision = decided(0.6, 0.95, 0.8)
    assert not decision.accepted
    assert decision.gain.low > 0


def test_two_harms_that_add_up_are_refused() -> None:
    """Each of 0.02, among so many images that either alone surely stays below 0.03."""
    right = [np.zeros((3, 20_000), dtype=bool) for _ in range(3)]
    for one, share in zip(right, (0.80, 0.78, 0.76), strict=True):
        one[:, : int(share * 20_000)] = True
    rng = np.random.default_rng(0)
    folds = np.stack([rng.permutation(np.arange(20_000) % 2) for _ in range(3)])
    alone = np.arange(20_000).astype(str)
    decision = decide(
        incoming=right[0], cleansed=right[1], candidate=right[2], folds=folds, groups=alone, margin=MARGIN
    )
    assert min(low(decision.cleansing), low(decision.augmentation)) > -MARGIN > decision.gain.low
    assert not decision.accepted


def test_asked_about_the_whole_alone_the_gain_of_both_decides() -> None:
    right = [answers(p, seed=number) for number, p in enumerate((0.7, 0.95))]
    decision = decide(incoming=right[0], candidate=right[1], folds=FOLDS, groups=ALONE, margin=MARGIN)
    assert decision.accepted
    figures = decision.figures(images=400, seeds=3)
    assert figures["ask"] == "whole"
    assert not {"cleansing", "augmentation"} & set(figures)
    assert figures["gain"]["mean"] == pytest.approx(right[1].mean() - right[0].mean())
    harm = decide(incoming=right[1], candidate=right[0], folds=FOLDS, groups=ALONE, margin=MARGIN)
    assert not harm.accepted
    assert decided(0.7, 0.6, 0.95).figures(images=400, seeds=3)["ask"] == "parts"


def test_a_first_look_refuses_only_what_is_surely_worse() -> None:
    unsure, worse, better = decided(0.8, 0.79, 0.8), decided(0.95, 0.7, 0.6), decided(0.6, 0.75, 0.9)
    assert [one.accepted for one in (unsure, worse, better)] == [False, False, True]
    assert [replace(one, accept="unless_worse").accepted for one in (unsure, worse, better)] == [True, False, True]
    assert replace(worse, accept="always").accepted


def test_what_is_within_the_margin_only_by_chance_is_refused() -> None:
    """Between 0.79 and 0.8 of 400 images no interval is as narrow as the margin."""
    decision = decided(0.8, 0.79, 0.8)
    assert decision.cleansing is not None
    assert decision.cleansing.low < -MARGIN < decision.cleansing.high
    assert not decision.accepted


def test_equal_answers_are_accepted() -> None:
    same = answers(0.7, seed=3)
    decision = decide(incoming=same, cleansed=same, candidate=same, folds=FOLDS, groups=ALONE, margin=MARGIN)
    assert decision.accepted
    figures = decision.figures(images=400, seeds=3)
    assert figures["gain"] == figures["cleansing"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert figures["incoming"] == figures["candidate"]


@pytest.mark.parametrize(("change", "least", "most"), [(-0.03, 0.0, 0.1), (-0.06, 0.0, 0.01), (0.03, 0.95, 1.0)])
def test_the_error_rates_are_those_promised(change: float, least: float, most: float) -> None:
    """Of 300 simulated rounds: 2,000 images with difficulties of their own, and networks that differ by 0.007."""
    rng, accepted = np.random.default_rng(0), 0
    folds, alone = np.stack([rng.permutation(np.arange(2000) % 2) for _ in range(2)]), np.arange(2000).astype(str)
    for _ in range(300):
        hard, sides = rng.uniform(-0.25, 0.25, 2000), []
        for accuracy in (0.7, 0.7 + change):
            quality = np.take_along_axis(rng.normal(0, 0.005, (2, 2)), folds, axis=1)
            sides.append(rng.random((2, 2000)) < accuracy + hard + quality)
        before, after = sides
        decision = decide(
            incoming=before,
            cleansed=after,
            candidate=after,
            folds=folds,
            groups=alone,
            margin=MARGIN,
        )
        accepted += decision.accepted
    assert least <= accepted / 300 <= most


PARAMS = Params(
    accept="measured",
    ask="parts",
    seeds=[0, 1],
    folds=2,
    margin=0.3,
    profile=Profile(epochs=10, batch=8, learning_rate=0.002, schedule="cosine", most_steps=300, precision="float32"),
)


def relabelled(dataset: Path, folder: Path, *, every: int = 1) -> Path:
    """The dataset with every train and val image, or one in so many, filed under the next class."""
    samples = read_samples(dataset)
    names = class_names(samples)
    rows = samples.to_pylist()
    for number, row in enumerate(rows):
        if row["split"] != "label_book" and number % every == 0:
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


def run(folder: Path, *, incoming: Path, candidate: Path, verdicts: list[Path], params: Params = PARAMS) -> None:
    main(
        params,
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
    assert figures["cleansing"]["high"] < -0.3
    assert figures["augmentation"] == {"mean": 0.0, "low": 0.0, "high": 0.0}  # it made no copies
    assert (figures["images"], figures["seeds"]) == (270, 2)
    assert read_samples(tmp_path / "out").equals(read_samples(good))
    assert read_ledger(tmp_path / "out").num_rows == 0


def test_a_planted_helpful_round_is_accepted_with_its_verdicts(tmp_path: Path) -> None:
    """A fifth of the labels is wrong in what came in, and right in the round."""
    good = make_dataset(tmp_path / "good", {"train": 240, "val": 30, "label_book": 30})
    incoming = relabelled(good, tmp_path / "harmed", every=5)
    told = [verdicts(tmp_path)]
    run(tmp_path, incoming=incoming, candidate=good, verdicts=told)
    figures = json.loads((tmp_path / "g.json").read_text())
    assert figures["accepted"]
    assert figures["gain"]["mean"] > 0
    ledger = read_ledger(tmp_path / "out")
    assert ledger.select(["round", "stage", "id"]).to_pylist() == [{"round": "r1", "stage": "cleanse_final", "id": "a"}]


def test_as_published_a_harmful_round_is_passed_on_and_what_was_measured_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = make_dataset(tmp_path / "good", {"train": 24, "val": 3, "label_book": 3})
    harmed = relabelled(good, tmp_path / "harmed")
    right = {name: np.full((2, 30), name == "incoming") for name in ("incoming", "cleansed", "candidate")}
    monkeypatch.setattr("stages.gate.cross_fitted", lambda *_: (right, np.tile(np.arange(30) % 2, (2, 1))))
    figures = {}
    for accept in ("measured", "always"):
        run(
            tmp_path,
            incoming=good,
            candidate=harmed,
            verdicts=[verdicts(tmp_path)],
            params=replace(PARAMS, accept=accept),
        )
        figures[accept] = json.loads((tmp_path / "g.json").read_text())
        passed_on = harmed if accept == "always" else good
        assert read_samples(tmp_path / "out").equals(read_samples(passed_on))
        assert read_ledger(tmp_path / "out").num_rows == (accept == "always")
    assert figures["always"] == figures["measured"] | {"accepted": True, "accept": "always"}
    assert figures["measured"]["cleansing"]["mean"] == -1.0
    assert "accepted whatever is measured (gate.accept): accuracy 0.000 against 1.000" in capsys.readouterr().out


def test_no_image_is_classified_by_a_model_that_has_seen_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every image is its own class of pixels here, so that what was trained on can be told from the arrays."""
    good = make_dataset(tmp_path / "good", {"train": 24, "val": 6, "label_book": 6})
    samples = read_samples(good)
    rows = [{**row, "group": f"{number // 3:016x}"} for number, row in enumerate(samples.to_pylist())]
    write_dataset(tmp_path / "grouped", samples_table(rows, class_names(samples)), shards_from=[good])
    seen: list[tuple[set[bytes], set[bytes]]] = []

    def watched(_: object, jobs: list[Any], *, steps: int, label: str) -> list[np.ndarray]:
        for data, given, queried, asked, *_ in jobs:
            trained, questions = data.images[given], queried.images[asked]
            seen.append(({one.tobytes() for one in trained}, {one.tobytes() for one in questions}))
        return [np.zeros(len(job[3]), dtype=bool) for job in jobs]

    monkeypatch.setattr("stages.gate.run_jobs", watched)
    run(tmp_path, incoming=tmp_path / "grouped", candidate=tmp_path / "grouped", verdicts=[])
    images = dict(zip(samples["id"].to_pylist(), read_images(good, samples["id"].to_pylist(), good), strict=True))
    group_of = {images[str(row["id"])].tobytes(): row["group"] for row in rows}
    assert len(seen) == 2 * 2 * 3  # repeats, folds, sides
    for trained, asked in seen:
        assert not {group_of[one] for one in trained} & {group_of[one] for one in asked}
    assert {one for _, asked in seen for one in asked} == set(group_of)


def test_models_learn_from_as_many_images_as_their_updates_can_see(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def watched(_: object, jobs: list[Any], *, steps: int, label: str) -> list[np.ndarray]:
        seen.extend(jobs)
        assert steps == len(jobs)
        return [np.zeros(len(job[3]), dtype=bool) for job in jobs]

    monkeypatch.setattr("stages.gate.run_jobs", watched)
    groups = np.array([f"{number // 2:016x}" for number in range(60)])
    data = Labelled(np.zeros((60, 4, 4, 1), np.uint8), np.arange(60) % 3)
    side = Side(data, np.arange(60), np.arange(60, dtype=np.uint64), groups)
    params = replace(PARAMS, profile=replace(PARAMS.profile, most_steps=2, batch=5))
    sides = {"incoming": side, "candidate": side.only(np.arange(60) < 50)}
    cross_fitted(params, sides, side, 3, FixedLearner(params.profile))
    assert len(seen) == 2 * 2 * 2  # repeats, folds, sides
    for number, (_, given, _, asked, *_) in enumerate(seen):
        assert len(given) == len(set(given.tolist())) == 10
        assert not set(groups[given]) & set(groups[asked])
        assert number % 2 == 0 or given.max() < 50
    assert len({tuple(given.tolist()) for _, given, *_ in seen[::2]}) == 4  # anew for every fold
    for (_, every, *_), (_, most, *_) in zip(seen[::2], seen[1::2], strict=True):  # the sides share what both have
        assert set(every[every < 50].tolist()) <= set(most.tolist())


@pytest.mark.parametrize(("ask", "trained"), [("whole", 36), ("parts", 30)])
def test_what_came_in_has_the_copies_of_earlier_rounds_where_the_whole_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Literal["whole", "parts"], trained: int
) -> None:
    good = make_dataset(tmp_path / "good", {"train": 24, "val": 6, "label_book": 6})
    samples = read_samples(good)
    ids = samples["id"].to_pylist()[:6]
    pictures = dict(zip(ids, read_images(good, ids, good), strict=True))
    rows = samples.to_pylist()
    copies = [row | {"id": f"{row['id'][:-2]}{n:02}", "parent": row["id"]} for n, row in enumerate(rows[:6])]
    images = [(copy["id"], encode_png(pictures[copy["parent"]])) for copy in copies]
    write_dataset(
        tmp_path / "copied", samples_table([*rows, *copies], class_names(samples)), shards_from=[good], images=images
    )
    sizes: list[dict[str, int]] = []

    def watched(
        _: Params, sides: dict[str, Side], queried: Side, *__: object
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        sizes.append({name: len(side.rows) for name, side in sides.items()} | {"asked": len(queried.rows)})
        return {name: np.ones((2, 36), bool) for name in sides}, np.tile(np.arange(36) % 2, (2, 1))

    monkeypatch.setattr("stages.gate.cross_fitted", watched)
    run(tmp_path, incoming=tmp_path / "copied", candidate=good, verdicts=[], params=replace(PARAMS, ask=ask))
    assert sizes[0]["incoming"] == trained
    assert (sizes[0]["candidate"], sizes[0]["asked"]) == (30, 36)


def test_too_few_images_for_the_folds_are_told(tmp_path: Path) -> None:
    good = make_dataset(tmp_path / "good", {"train": 6, "label_book": 3})
    bare = make_dataset(tmp_path / "bare", {"label_book": 3})
    with pytest.raises(UserError, match="the candidate images are too few"):
        run(tmp_path, incoming=good, candidate=bare, verdicts=[])
