"""The neighbours' verdicts against ten plain lines, and the cases that break such rules."""

import dataclasses
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.refusals import refused_params
from winnow.cleansing.neighbour_rule import Rule, judge_labels
from winnow.verdicts.ledger import DROP, KEEP, RELABEL

CLASSES = ["i", "ii", "iii"]
PUBLISHED = Rule(k=3, signals=["neighbours"], support=0.5, relabel=1.0, near=math.inf, far=4.0)


def limit(distances: list[float], deviations: float) -> float:
    median = statistics.median(distances)
    return median + deviations * statistics.median(abs(d - median) for d in distances)


def reference(
    label: int,
    voted: list[int],
    distance: float,
    probability: list[float],
    quality: float | None,
    rule: Rule,
    by_class: list[list[float]],
) -> tuple[str, int | None]:
    """Action and label, as ALGORITHMS would say it in plain words."""
    shares = {c: statistics.mean(int(vote == c) for vote in voted) for c in range(3)}
    seen = None if np.isnan(probability[label]) else probability[label]
    given = {"neighbours": shares[label], "classifier": seen, "label_quality": quality}
    values = [value for name in rule.signals if (value := given[name]) is not None] or [shares[label]]
    if "classifier" in rule.signals:
        shares = {c: min(share, np.nan_to_num(probability[c])) for c, share in shares.items()}
    rivals = {c: share for c, share in shares.items() if c != label}
    if statistics.mean(values) < rule.support:
        best = max(rivals, key=lambda c: (rivals[c], -c))
        near = not by_class[best] or distance <= limit(by_class[best], rule.near)
        return (RELABEL, best) if rivals[best] >= rule.relabel and near else (DROP, None)
    return (DROP, None) if distance > limit(by_class[label], rule.far) else (KEEP, label)


@settings(max_examples=150)
@given(st.data())
def test_equal_to_the_reference(data: st.DataObject) -> None:
    count, k = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    names = ["neighbours", "classifier", "label_quality"]
    signals = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    rule = Rule(
        k=k,
        signals=signals,
        support=data.draw(st.sampled_from([0.3, 0.5, 0.7])),
        relabel=data.draw(st.sampled_from([0.6, 0.8, 1.0])),
        near=data.draw(st.sampled_from([0.0, 1.5, 6.0])),
        far=data.draw(st.sampled_from([0.0, 1.5, 6.0])),
    )
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    voted = np.array(
        data.draw(st.lists(st.lists(st.integers(0, 2), min_size=k, max_size=k), min_size=count, max_size=count))
    )
    distance = np.array(data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))) / 8
    quality = (
        np.array(data.draw(st.lists(st.one_of(st.none(), st.integers(0, 16)), min_size=count, max_size=count)), float)
        / 16
    )
    eighths = data.draw(st.lists(st.lists(st.integers(0, 8), min_size=3, max_size=3), min_size=count, max_size=count))
    probability = np.array(eighths) / 8
    probability[np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count))), 2] = np.nan
    verdicts = judge_labels(
        labels, voted, distance, classes=CLASSES, rule=rule, probability=probability, label_quality=quality
    )
    for i, verdict in enumerate(verdicts):
        given_quality = None if np.isnan(quality[i]) else quality[i]
        by_class = [distance[labels == label].tolist() for label in range(3)]
        assert (verdict.action, verdict.label) == reference(
            labels[i], voted[i].tolist(), distance[i], probability[i].tolist(), given_quality, rule, by_class
        )


def told(labels: list[int], voted: list[list[int]], distance: list[float], rule: Rule = PUBLISHED) -> list[str]:
    verdicts = judge_labels(np.array(labels), np.array(voted), np.array(distance), classes=CLASSES, rule=rule)
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
    verdicts = judge_labels(labels, voted, distance, classes=CLASSES, rule=PUBLISHED, copies=copies)
    assert [verdict.action for verdict in verdicts] == [KEEP, KEEP, KEEP, DROP, DROP]  # 0.2 + 4 * 0.1 < 0.9


def test_an_image_far_from_the_class_of_its_neighbours_gets_no_label() -> None:
    rule = dataclasses.replace(PUBLISHED, near=2.0)
    labels, voted = [0, 0, 0, 1, 1, 1], [[1] * 3, [1] * 3, [0] * 3, *[[1] * 3] * 3]
    assert told(labels, voted, [0.3, 0.9, 0.1, 0.1, 0.2, 0.3], rule) == [RELABEL, DROP, KEEP, KEEP, KEEP, KEEP]


def test_a_rule_that_asks_the_classifier_needs_its_probabilities() -> None:
    rule = dataclasses.replace(PUBLISHED, signals=["classifier"])
    with pytest.raises(ValueError, match="its probabilities are missing"):
        told([0], [[0, 0, 0]], [0.1], rule)


def test_reasons_say_why() -> None:
    verdicts = judge_labels(
        np.array([0, 0, 0]),
        np.array([[1, 1, 1], [1, 2, 2], [0, 0, 0]]),
        np.array([0.1, 0.1, 7.0]),
        classes=CLASSES,
        rule=PUBLISHED,
    )
    assert verdicts[0].reason == "100% of its neighbours are ii"
    assert verdicts[1].reason == "support 0.00 for i, 67% of its neighbours are iii"
    assert verdicts[2].reason.startswith("closest neighbour at 7.00, the class allows")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "k must be at least 1"),
        ({"signals": []}, "signals must name one or more"),
        ({"signals": ["label_quality", "label_quality"]}, "each once"),
        ({"signals": ["oracle"]}, "signals must name one or more"),
        ({"support": 1.5}, "support must be at most 1.0, got 1.5"),
        ({"relabel": 0.5}, "relabel must be above 0.5, got 0.5"),
        ({"far": -1.0}, "far must be at least 0.0, got -1.0"),
        ({"far": math.nan}, "far must be at least 0.0, got nan"),
        ({"near": -1.0}, "near must be at least 0.0"),
    ],
)
def test_rules_that_cannot_decide_are_refused(changes: dict[str, object], message: str) -> None:
    with refused_params(Rule, message):
        dataclasses.replace(PUBLISHED, **changes)  # type: ignore[arg-type]
