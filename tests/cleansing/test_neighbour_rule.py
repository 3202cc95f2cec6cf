"""The neighbours' verdicts against ten plain lines, and the cases that break such rules."""

import dataclasses
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.refusals import refused_params
from winnow.cleansing.neighbour_rule import Rule, judge_by_neighbours
from winnow.verdicts.ledger import DROP, KEEP, RELABEL

CLASSES = ["i", "ii", "iii"]
PUBLISHED = Rule(by="neighbours", k=3, agreement=0.5, relabel=1.0, far=4.0)


def limit(distances: list[float], deviations: float) -> float:
    median = statistics.median(distances)
    return median + deviations * statistics.median(abs(d - median) for d in distances)


def reference(
    label: int, voted: list[int], distance: float, rule: Rule, own_distances: list[float]
) -> tuple[str, int | None]:
    """Action and label, in plain words."""
    shares = {c: statistics.mean(int(vote == c) for vote in voted) for c in range(3)}
    if shares[label] < rule.agreement:
        best = max((c for c in shares if c != label), key=lambda c: (shares[c], -c))
        return (RELABEL, best) if shares[best] >= rule.relabel else (DROP, None)
    return (DROP, None) if distance > limit(own_distances, rule.far) else (KEEP, label)


@settings(max_examples=150)
@given(st.data())
def test_equal_to_the_reference(data: st.DataObject) -> None:
    count, k = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    rule = Rule(
        by="neighbours",
        k=k,
        agreement=data.draw(st.sampled_from([0.3, 0.5, 0.7])),
        relabel=data.draw(st.sampled_from([0.6, 0.8, 1.0])),
        far=data.draw(st.sampled_from([0.0, 1.5, 6.0, math.inf])),
    )
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    voted = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 2), min_size=k, max_size=k), min_size=count, max_size=count))
    )
    distance = np.array(data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))) / 8
    copies = np.zeros(count, dtype=bool)
    for i, verdict in enumerate(
        judge_by_neighbours(labels, voted, distance, classes=CLASSES, rule=rule, copies=copies)
    ):
        own_distances = distance[labels == labels[i]].tolist()
        assert (verdict.action, verdict.label) == reference(
            labels[i], voted[i].tolist(), distance[i], rule, own_distances
        )
        assert verdict.support == pytest.approx((voted[i] == labels[i]).mean())


def told(labels: list[int], voted: list[list[int]], distance: list[float], rule: Rule = PUBLISHED) -> list[str]:
    copies = np.zeros(len(labels), dtype=bool)
    verdicts = judge_by_neighbours(
        np.array(labels), np.array(voted), np.array(distance), classes=CLASSES, rule=rule, copies=copies
    )
    return [verdict.action for verdict in verdicts]


def test_the_published_rule_says_what_the_paper_says() -> None:
    near = [0.1, 0.1, 0.1, 0.1, 5.0]
    votes = [[0, 0, 0], [1, 1, 1], [1, 1, 2], [0, 0, 1], [0, 0, 0]]
    assert told([0] * 5, votes, near) == [KEEP, RELABEL, DROP, KEEP, DROP]


def test_all_equal_images_are_kept() -> None:
    assert told([0, 0, 1, 1], [[0, 0, 0]] * 2 + [[1, 1, 1]] * 2, [0.0] * 4) == [KEEP] * 4


def test_a_class_of_one_image_is_judged_by_its_neighbours_alone() -> None:
    assert told([2, 0, 0], [[0, 0, 0], [0, 0, 0], [0, 0, 0]], [0.1, 0.1, 0.1]) == [RELABEL, KEEP, KEEP]


def test_copies_are_dropped_never_relabelled_and_measured_on_the_scale_of_source_images() -> None:
    labels, voted = np.array([0, 0, 0, 0, 0]), np.array([[0] * 3, [0] * 3, [0] * 3, [1] * 3, [0] * 3])
    copies = np.array([False, False, False, True, True])
    distance = np.array([0.1, 0.2, 0.3, 0.1, 0.9])
    verdicts = judge_by_neighbours(labels, voted, distance, classes=CLASSES, rule=PUBLISHED, copies=copies)
    assert [verdict.action for verdict in verdicts] == [KEEP, KEEP, KEEP, DROP, DROP]  # 0.2 + 4 * 0.1 < 0.9


def test_without_a_limit_nothing_is_too_far() -> None:
    rule = dataclasses.replace(PUBLISHED, far=math.inf)
    assert told([0] * 3, [[0, 0, 0]] * 3, [0.1, 0.1, 1e9], rule) == [KEEP] * 3
    assert told([0] * 3, [[0, 0, 0]] * 3, [0.1, 0.1, 1e9]) == [KEEP, KEEP, DROP]


def test_reasons_say_why() -> None:
    verdicts = judge_by_neighbours(
        np.array([0, 0, 0]),
        np.array([[1, 1, 1], [1, 2, 2], [0, 0, 0]]),
        np.array([0.1, 0.1, 7.0]),
        classes=CLASSES,
        rule=PUBLISHED,
        copies=np.zeros(3, dtype=bool),
    )
    assert verdicts[0].reason == "100% of its neighbours are ii"
    assert verdicts[1].reason == "0% of its neighbours are i, 67% of its neighbours are iii"
    assert verdicts[2].reason.startswith("closest neighbour at 7.00, the class allows")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "k must be at least 1"),
        ({"by": "votes"}, "by must be 'support' or 'neighbours', got 'votes'"),
        ({"agreement": 1.5}, "agreement must be at most 1.0, got 1.5"),
        ({"relabel": 0.5}, "relabel must be above 0.5, got 0.5"),
        ({"far": -1.0}, "far must be at least 0.0, got -1.0"),
        ({"far": math.nan}, "far must be at least 0.0, got nan"),
        ({"far": 2e6}, "far must be at most 1,000,000, or .inf for no limit, got 2000000.0"),
    ],
)
def test_rules_that_cannot_decide_are_refused(changes: dict[str, object], message: str) -> None:
    with refused_params(Rule, message):
        dataclasses.replace(PUBLISHED, **changes)  # type: ignore[arg-type]
