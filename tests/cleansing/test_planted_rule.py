"""The rule on planted labels: what is kept, dropped and relabelled, and where it stops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from winnow.cleansing.planted_rule import (
    CONFIRMED,
    HIGH,
    RELABELLED,
    expected_left,
    judge_by_planted,
    least_usual,
    within_estimate,
)
from winnow.pipeline.files import write_json
from winnow.pipeline.messages import UserError
from winnow.representation.planted_faults import Planted, Scale, Scores, distribution
from winnow.representation.support import Support
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

SETTINGS = Support(neighbours=5, most_sound=0.02, relabel=0.9, stop=2.0)
SCORES = np.array([[2.0, -2.0, -2.0], [-2.0, 1.5, -2.0], [-2.0, -1.5, -2.0], [-0.5, 0.5, -2.0]])
AS_GIVEN = Scale(middle=0.0, spread=1.0)
PLANTED = Planted(
    Scores([SCORES], [AS_GIVEN]),
    planted=distribution(np.array([-2.0, -1.0, 0.0, 1.0])),
    given=distribution(np.array([0.6, 0.7, 0.8, 0.9, 2.0])),
    faults=0.3,
    threshold=0.6,
)
EVEN = np.full((4, 3), 1 / 3)


def judged(labels: list[int], copies: list[bool], renamed: list[bool] | None = None) -> list[Verdict]:
    return judge_by_planted(
        np.array(labels),
        np.arange(4),
        planted=PLANTED,
        probability=EVEN,
        classes=["a", "b", "c"],
        settings=SETTINGS,
        copies=np.array(copies),
        renamed=None if renamed is None else np.array(renamed),
    )


def test_by_support_and_by_how_usual_the_other_label_is() -> None:
    kept, moved, junk, low = judged([0, 0, 0, 0], [False] * 4)
    assert (kept.action, kept.support) == (KEEP, 1.0)
    assert (moved.action, moved.label, moved.support) == (RELABEL, 1, 0.25)  # 1.5 is above most of the given scores
    assert (junk.action, junk.label) == (DROP, None)
    assert (low.action, low.support) == (DROP, 0.5)  # 0.5 is below all of them
    assert "support 0.25 for a where 0.60 is needed" in junk.reason


def test_a_new_label_that_is_not_usual_is_dropped_and_one_that_is_stays() -> None:
    """Whatever its support: the networks that confirm it learnt from other images."""
    confirmed, moved, junk, low = judged([0, 1, 0, 1], [False] * 4, [True, True, True, True])
    assert [confirmed.action, moved.action] == [KEEP, KEEP]
    assert PLANTED.usual(np.array([0.5])) < CONFIRMED <= PLANTED.usual(np.array([1.5]))
    assert (low.action, low.label) == (DROP, None)
    assert low.reason == "new label b not confirmed, the classifier gives b 33% and a 33%"
    assert junk.action == DROP
    (*_, untouched) = judged([0, 1, 0, 1], [False] * 4, [True, True, True, False])
    assert untouched.reason.startswith("support 0.75") is (untouched.action == KEEP)
    assert untouched.action == KEEP  # an old label of the same score


def test_new_labels_are_given_where_they_are_expected_to_be_right() -> None:
    rng = np.random.default_rng(0)
    filed, junk = rng.random(600), 0.3 * rng.random(400)
    least = least_usual(np.concatenate([filed, junk]), 0.9)
    assert 0.25 <= least <= 0.5
    told = np.concatenate([filed, junk]) >= least
    assert told[:600].sum() >= 0.9 * told.sum()
    assert least_usual(junk, 0.9) == np.inf  # nothing was filed wrongly
    alike = 0.9 * rng.random(400)  # junk that looks as the classes do cannot be told from them
    assert least_usual(np.concatenate([filed[:400], alike]), 0.99) == np.inf
    assert least_usual(np.zeros(0), 0.5) == np.inf
    assert least_usual(filed, 0.0) < np.inf


def test_the_least_usual_label_follows_its_formula() -> None:
    usual = np.random.default_rng(1).random(40) ** 2
    b = min(1.0, *(sum(u >= q for u in usual) / 40 / (1 - q) for q in HIGH))
    right = {q: min(1.0, b * (1 - q) / (sum(u >= q for u in usual) / 40)) for q in RELABELLED}
    best = max(right, key=lambda q: (right[q], -q))
    assert least_usual(usual, right[best] - 1e-9) == best
    assert least_usual(usual, right[best] + 1e-9) == np.inf


def test_copies_are_never_relabelled() -> None:
    assert [one.action for one in judged([0, 0, 0, 0], [True] * 4)] == [KEEP, DROP, DROP, DROP]


def test_a_class_that_the_classifiers_do_not_know_is_no_new_label() -> None:
    unknown = EVEN.copy()
    unknown[:, 1] = np.nan
    given = {
        probability is unknown: {
            one.label
            for one in judge_by_planted(
                np.array([0, 0, 0, 0]),
                np.arange(4),
                planted=PLANTED,
                probability=probability,
                classes=["a", "b", "c"],
                settings=replace(SETTINGS, relabel=0.0),
                copies=np.zeros(4, dtype=bool),
            )
            if one.action == RELABEL
        }
        for probability in (EVEN, unknown)
    }
    assert 1 in given[False]
    assert 1 not in given[True]


def estimated(faults: float, threshold: float) -> Planted:
    nothing = distribution(np.zeros(0))
    return Planted(Scores([np.zeros((4, 2))], [AS_GIVEN]), nothing, nothing, faults, threshold)


@pytest.mark.parametrize(("faults", "stopped"), [(0.4, False), (0.3, True), (np.nan, False)])
def test_it_stops_where_it_would_touch_far_more_than_the_estimate(faults: float, stopped: bool) -> None:
    verdicts, labels = judged([0, 0, 0, 0], [False] * 4), np.zeros(4, np.int64)
    planted = None if np.isnan(faults) else estimated(faults, 0.75)
    left, estimate = within_estimate(verdicts, labels, planted=planted, counted=np.ones(4, dtype=bool), stop=2.0)
    assert (estimate.touched, estimate.stopped) == (0.75, stopped)
    assert [one.action for one in left] == ([KEEP] * 4 if stopped else [one.action for one in verdicts])
    assert [one.support for one in left] == [one.support for one in verdicts]
    if stopped:
        assert left[1].reason.startswith("ranked only, since 75% would be touched where 30% are estimated to be faults")
        assert left[1].label == 0


def test_copies_do_not_count_for_the_share() -> None:
    verdicts = judged([0, 0, 0, 0], [False, True, True, True])
    counted, planted = np.array([True, False, False, False]), estimated(0.01, 0.5)
    _, estimate = within_estimate(verdicts, np.zeros(4, np.int64), planted=planted, counted=counted, stop=2.0)
    assert (estimate.touched, estimate.stopped) == (0.0, False)


def test_what_is_expected_to_be_left_goes_from_one_cleansing_to_the_next(tmp_path: Path) -> None:
    verdicts, labels = judged([0, 0, 0, 0], [False] * 4), np.zeros(4, np.int64)
    everyone = np.ones(4, dtype=bool)
    _, found = within_estimate(verdicts, labels, planted=estimated(0.4, 0.75), counted=everyone, stop=2.0)
    assert found.left == pytest.approx(0.4 * (1 - 0.75) / (1 - 0.75))  # of the quarter that is kept
    write_json(tmp_path / "estimate.json", found.figures())
    assert expected_left(tmp_path / "estimate.json") == pytest.approx(found.left)
    _, stopped = within_estimate(verdicts, labels, planted=estimated(0.3, 0.75), counted=everyone, stop=2.0)
    assert stopped.left == pytest.approx(0.3)  # nothing was found
    _, unknown = within_estimate(verdicts, labels, planted=None, counted=everyone, stop=2.0)
    write_json(tmp_path / "estimate.json", unknown.figures())
    assert expected_left(tmp_path / "estimate.json") == 0.0
    write_json(tmp_path / "estimate.json", {"expected_left": 3})
    with pytest.raises(UserError, match=r"expected_left must lie in \[0, 1\], got 3; run `dvc checkout"):
        expected_left(tmp_path / "estimate.json")
