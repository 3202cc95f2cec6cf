"""The rule on planted labels: what is kept, dropped and relabelled, and where it stops."""

import numpy as np
import pytest

from winnow.cleansing.planted_rule import judge_by_planted, within_estimate
from winnow.representation.planted_flips import Planted
from winnow.representation.support import Support
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

SETTINGS = Support(neighbours=5, most_sound=0.02, relabel=0.5, stop=2.0)
SCORES = np.array([[2.0, -2.0, -2.0], [-2.0, 1.5, -2.0], [-2.0, -1.5, -2.0], [-0.5, 0.5, -2.0]])
PLANTED = Planted(
    SCORES, planted=np.array([-2.0, -1.0, 0.0, 1.0]), given=np.array([0.0, 1.0, 2.0, 3.0]), faults=0.3, threshold=0.6
)
EVEN = np.full((4, 3), 1 / 3)


def judged(labels: list[int], copies: list[bool]) -> list[Verdict]:
    return judge_by_planted(
        np.array(labels),
        np.arange(4),
        planted=PLANTED,
        probability=EVEN,
        classes=["a", "b", "c"],
        settings=SETTINGS,
        copies=np.array(copies),
    )


def test_by_support_and_by_how_usual_the_other_label_is() -> None:
    kept, moved, junk, low = judged([0, 0, 0, 0], [False] * 4)
    assert (kept.action, kept.support) == (KEEP, 1.0)
    assert (moved.action, moved.label, moved.support) == (RELABEL, 1, 0.25)  # 1.5 is above half of the given scores
    assert (junk.action, junk.label) == (DROP, None)
    assert (low.action, low.support) == (DROP, 0.5)  # 0.5 is above a quarter of them alone
    assert "support 0.25 for a where 0.60 is needed" in junk.reason


def test_copies_are_never_relabelled() -> None:
    assert [one.action for one in judged([0, 0, 0, 0], [True] * 4)] == [KEEP, DROP, DROP, DROP]


@pytest.mark.parametrize(("faults", "stopped"), [(0.4, False), (0.3, True), (np.nan, False)])
def test_it_stops_where_it_would_touch_far_more_than_the_estimate(faults: float, stopped: bool) -> None:
    verdicts, labels = judged([0, 0, 0, 0], [False] * 4), np.zeros(4, np.int64)
    left, estimate = within_estimate(verdicts, labels, faults=faults, counted=np.ones(4, dtype=bool), stop=2.0)
    assert (estimate.touched, estimate.stopped) == (0.75, stopped)
    assert [one.action for one in left] == ([KEEP] * 4 if stopped else [one.action for one in verdicts])
    assert [one.support for one in left] == [one.support for one in verdicts]
    if stopped:
        assert left[1].reason.startswith("ranked only, since 75% would be touched where 30% are estimated to be faults")
        assert left[1].label == 0


def test_copies_do_not_count_for_the_share() -> None:
    verdicts = judged([0, 0, 0, 0], [False, True, True, True])
    counted = np.array([True, False, False, False])
    _, estimate = within_estimate(verdicts, np.zeros(4, np.int64), faults=0.01, counted=counted, stop=2.0)
    assert (estimate.touched, estimate.stopped) == (0.0, False)
