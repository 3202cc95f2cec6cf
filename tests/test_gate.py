"""The gate refuses what surely harms, and nothing else."""

import numpy as np

from winnow.gate import decide


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
