"""Figures over repeats: packed answers come back, intervals are those of the averaged answers, and they cover."""

from typing import Any

import numpy as np
import pytest

from winnow.evaluation.comparison import ArmResult
from winnow.evaluation.intervals import crossed_interval, gain_interval
from winnow.evaluation.repeats import Basis, over_repeats, packed, record, unpacked
from winnow.pipeline.messages import UserError

N = 43  # no multiple of 8


def arm(p: float, seed: int, *, seeds: int = 2, n_train: int = 100) -> ArmResult:
    right = np.random.default_rng(seed).random((seeds, N)) < p
    return ArmResult(n_train, "tiny", right, tuple(f"{n:016x}" for n in range(N)), ((),) * seeds)


def repeats(count: int) -> list[dict[str, Any]]:
    return [
        record(
            Basis(n, "inputs", "ids"),
            {"baseline": arm(0.6, n), "full": arm(0.8, 10 + n, n_train=200 + n)},
            {"f1": 0.9 + n / 100, "stopped": "", "images": 50},
        )
        for n in range(count)
    ]


def test_answers_come_back_from_their_text() -> None:
    right = arm(0.5, 0, seeds=3).right
    assert np.array_equal(unpacked(packed(right), N), right)


def test_the_figures_are_those_of_the_answers_averaged_over_seeds() -> None:
    records = repeats(3)
    figures = over_repeats(records, {"whole": ["full", "baseline"], "half": ["half", "baseline"]})
    shares = {
        name: np.stack([unpacked(one["arms"][name]["right"], N).mean(axis=0) for one in records])
        for name in ("baseline", "full")
    }
    gain = gain_interval(shares["full"], shares["baseline"])
    assert figures["arms"]["full"]["gain"] == gain.figures()
    assert figures["contrasts"] == {"whole": {"with": "full", "without": "baseline", "gain": gain.figures()}}
    assert figures["arms"]["baseline"]["accuracy"]["mean"] == pytest.approx(shares["baseline"].mean())
    errors = {name: 1 - share.mean() for name, share in shares.items()}
    wanted = 1 - errors["full"] / errors["baseline"]
    assert figures["arms"]["full"]["error_reduction"]["mean"] == pytest.approx(wanted)
    assert figures["arms"]["full"]["n_train"] == [200, 201, 202]
    assert figures["refinement"] == {"f1": [0.9, 0.91, 0.92], "images": [50, 50, 50]}
    assert (figures["repeats"], figures["seeds"], figures["n_test"]) == (3, 2, N)


def test_arms_with_the_same_images_differ_by_exactly_0() -> None:
    records = repeats(2)
    for one in records:
        one["arms"]["twin"] = one["arms"]["full"]
        one["arms"]["smaller"] = one["arms"]["full"] | {"n_train": 3}
        one["arms"]["relabelled"] = one["arms"]["full"] | {"trained": "otherwise"}
    others = ("smaller", "relabelled")
    figures = over_repeats(records, {name: [name, "full"] for name in ("twin", *others)})
    gains = {part: row["gain"] for part, row in figures["contrasts"].items()}
    assert gains["twin"] == {"mean": 0, "low": 0, "high": 0} == figures["arms"]["twin"]["gain"]
    for name in others:  # equal answers alone prove nothing
        assert gains[name]["low"] < gains[name]["mean"] == 0 < gains[name]["high"]


def test_the_interval_covers_the_true_mean_where_repeats_differ_more_than_seeds() -> None:
    """Repeats of sd 0.02, seeds of sd 0.005, images of their own difficulty; 95 % wanted, 400 draws."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        repeat = rng.normal(0, 0.02, (4, 1, 1)) + rng.normal(0, 0.005, (4, 2, 1))
        chance = np.clip(0.7 + repeat + rng.normal(0, 0.15, (1, 1, 300)), 0, 1)
        share = (rng.random(chance.shape) < chance).mean(axis=1)  # (4, 300)
        interval = crossed_interval(share)
        hits += interval.low <= 0.7 <= interval.high
    assert 0.92 <= hits / 400 <= 0.98


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"images": "others"}, "test images"),
        ({"profile": "competition"}, "profiles"),
        ({"arms": {"baseline": {"n_train": 1, "right": ["00"]}}}, "arms"),
    ],
)
def test_repeats_that_do_not_go_together_are_refused(change: dict[str, Any], what: str) -> None:
    first, second = repeats(2)
    with pytest.raises(UserError, match=f"0.json and 1.json have other {what}; delete the"):
        over_repeats([first, second | change], {})
