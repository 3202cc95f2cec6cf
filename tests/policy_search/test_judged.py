"""The search that asks the judge: its score against the definition, and what each candidate is trained on and asked."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.refusals import refused_params
from winnow.augmentation.policy import Policy, Step
from winnow.pipeline.messages import UserError
from winnow.policy_search import judged
from winnow.policy_search.halving import winner
from winnow.policy_search.judged import TEMPERATURES, Halving, ShortRun, held_out_logits, scores, search_by_judge
from winnow.training.training import Labelled, Profile, Trained, train

SETTINGS = Halving(sub_policies=4, images=100, folds=2, copies=2, rungs=[3, 9], batch=8, learning_rate=0.001)
LIMITS = {"rotate": {"a": 1.0, "b": 1.0}}
POLICIES = {
    name: Policy(("rotate",), ((Step("rotate", 1.0, far),),), LIMITS, chained=1)
    for name, far in {"mild": 0.2, "strong": 0.9, "middle": 0.5}.items()
}


# --- the score ----------------------------------------------------------------------------------------------------


def probability(logits: Sequence[float], label: int, temperature: float) -> float:
    powers = [math.exp(value / temperature) for value in logits]
    return powers[label] / sum(powers)


def test_a_score_is_the_likelihood_of_a_label_that_may_be_arbitrary_at_the_best_temperature() -> None:
    rng = np.random.default_rng(0)
    logits, labels = 6 * rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    logits[np.arange(30), labels[:30]] += 8  # ten images are classified at random
    by_temperature = [
        [
            math.log(0.9 * probability(row, label, temperature) + 0.1 / 3)
            for row, label in zip(logits.tolist(), labels.tolist(), strict=True)
        ]
        for temperature in TEMPERATURES.tolist()
    ]
    best, lowest = np.array(max(by_temperature, key=sum)), math.log(0.1 / 3)
    assert scores(logits, labels) == pytest.approx((best - lowest) / (math.log(0.9 + 0.1 / 3) - lowest))


def test_the_score_is_1_where_the_model_is_sure_and_0_where_it_is_sure_of_another_class() -> None:
    sure = np.where(np.eye(4, dtype=bool), 1000.0, 0.0)
    assert scores(sure, np.arange(4)) == pytest.approx(1)
    labels = np.arange(40) % 4
    labels[0] = 1  # one wrong label, which chooses no temperature
    found = scores(np.tile(sure, (10, 1)), labels)
    assert found[0] == pytest.approx(0)
    assert found[1:] == pytest.approx(1)
    assert scores(np.zeros((4, 1)), np.zeros(4, dtype=np.int64)) == pytest.approx(
        1
    )  # one class alone: nothing is wrong


def test_how_sure_a_model_is_of_all_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(60, 4)), rng.integers(0, 4, 60)
    logits[np.arange(50), labels[:50]] += 2
    assert scores(2 * logits, labels) == pytest.approx(scores(logits, labels))


def test_faults_that_are_left_in_the_data_do_not_choose_the_less_sure_model() -> None:
    """By the plain loss, five wrong labels of a hundred outweigh what the other images say."""
    labels = np.zeros(100, dtype=np.int64)
    right, wrong = np.arange(95), np.arange(95, 100)
    better, worse = np.zeros((100, 2)), np.zeros((100, 2))
    better[right, 0], worse[right, 0] = math.log(0.9 / 0.1), math.log(0.6 / 0.4)
    worse[right[::5]] *= -1  # of the sound images it takes one in five for another class
    better[wrong, 1], worse[wrong, 1] = 14.0, 0.0  # as sure of the true class as it should be

    def loss(logits: np.ndarray) -> float:
        return float(np.mean([-math.log(probability(row, 0, 1.0)) for row in logits.tolist()]))

    assert loss(better) > loss(worse)
    assert scores(better, labels).mean() > scores(worse, labels).mean() + 0.1


# --- what is trained ----------------------------------------------------------------------------------------------


def levels(images: np.ndarray) -> list[int]:
    """Each image's grey, which no rotation changes: outside, an image has its border's colour."""
    assert (images == images[:, :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


def test_a_model_is_trained_on_the_other_images_and_their_copies_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.broadcast_to(np.arange(10, dtype=np.uint8)[:, None, None, None] * 20, (10, 8, 8, 1)).copy()
    labels, members = np.arange(10) % 2, np.array([True] * 6 + [False] * 4)
    seen: list[tuple[Labelled, Profile, int]] = []

    def capture(data: Labelled, validation: None, *, profile: Profile, seed: int, **rest: Any) -> Trained:
        seen.append((data, profile, seed))
        return train(data, validation, profile=profile, seed=seed, **rest)

    monkeypatch.setattr(judged, "train", capture)
    told = []
    run = ShortRun(Labelled(images, labels), members, ["a", "b"], POLICIES["mild"], SETTINGS, updates=7, seed=5)
    logits = held_out_logits(run, lambda: told.append(1))
    assert logits.shape == (4, 2)
    ((data, profile, seed),) = seen
    assert levels(data.images) == [20 * row for row in [*range(6), *np.repeat(range(6), 2)]]
    assert data.labels.tolist() == [row % 2 for row in [*range(6), *np.repeat(range(6), 2)]]
    assert (profile.most_steps, profile.batch, seed) == (7, 8, 5)
    assert len(told) == 2  # epochs of 3 updates: 18 images in batches of 8


def searched(
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, float],
    *,
    settings: Halving = SETTINGS,
    groups: Sequence[str] = (),
) -> tuple[list[list[ShortRun]], list[Any]]:
    """The runs of each rung and the trials, where every image gets the score of its candidate."""
    rungs: list[list[ShortRun]] = []

    def here(function: object, jobs: Sequence[tuple[ShortRun]], *, steps: int, label: str) -> list[np.ndarray]:
        assert function is judged.held_out
        rungs.append([run for (run,) in jobs])
        names = {id(policy): name for name, policy in POLICIES.items()}
        return [np.full((~run.members).sum(), answer[names[id(run.policy)]]) for run in rungs[-1]]

    monkeypatch.setattr(judged, "run_jobs", here)
    images, labels = np.zeros((30, 8, 8, 1), dtype=np.uint8), np.arange(30) % 2
    groups = groups or [str(row // 3) for row in range(30)]
    trials = search_by_judge(POLICIES, images, labels, ["a", "b"], settings, groups=groups, seed=0)
    return rungs, trials


def test_all_candidates_have_the_same_folds_and_seeds_and_every_rung_others(monkeypatch: pytest.MonkeyPatch) -> None:
    (first, second), trials = searched(monkeypatch, {"mild": 0.5, "middle": 0.7, "strong": 0.1})
    assert winner(trials) == "middle"
    assert [(one.rung, one.candidate, one.score) for one in trials] == [
        (1, "middle", pytest.approx(0.7)),
        (1, "mild", pytest.approx(0.5)),
        (1, "strong", pytest.approx(0.1)),
        (2, "middle", pytest.approx(0.7)),
        (2, "mild", pytest.approx(0.5)),
    ]
    assert (len(first), len(second)) == (6, 4)
    for runs, updates in ((first, 3), (second, 9)):
        for fold in range(2):
            same = runs[fold::2]
            assert len({run.members.tobytes() for run in same}) == 1
            assert {(run.updates, run.seed) for run in same} == {(updates, same[0].seed)}
        assert (runs[0].members != runs[1].members).all()  # each image is held out once
        inside, outside = ({row // 3 for row in np.flatnonzero(runs[0].members == there)} for there in (True, False))
        assert not inside & outside  # groups stay together
    assert first[0].seed != second[0].seed
    assert (first[0].members != second[0].members).any()


def test_the_milder_of_two_that_are_equally_good_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    _, trials = searched(monkeypatch, dict.fromkeys(POLICIES, 0.5))
    assert winner(trials) == "mild"


def test_a_large_source_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dataclasses.replace(SETTINGS, images=12)
    (first, _), _ = searched(monkeypatch, dict.fromkeys(POLICIES, 0.5), settings=settings)
    assert {len(run.data.labels) for run in first} == {12}


def test_images_that_are_all_alike_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"halving.folds is 2, but there are only 1 training images that differ"):
        searched(monkeypatch, dict.fromkeys(POLICIES, 0.5), groups=["same"] * 30)


def test_rungs_that_do_not_rise_are_refused() -> None:
    with refused_params(Halving, r"rungs must rise, each a longer run than the one before, got \[4, 4\]"):
        dataclasses.replace(SETTINGS, rungs=[4, 4])
