"""Edge cases against a slow reference, and the copies that each class gets of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.refusals import refused_params
from winnow.augmentation.edge_cases import Rule, choose_edge_parents, find_by_margin, find_edge_cases

GRID = st.tuples(st.integers(0, 40), st.integers(0, 40))


def reference(points: np.ndarray, labels: np.ndarray, rule: Rule) -> list[tuple[float, bool]]:
    """(distance, edge) by image, straight from the definition; no two distances may be equal."""
    found = []
    for i in range(len(points)):
        distances = np.linalg.norm(points - points[i], axis=1)
        others = [j for j in np.argsort(distances) if j != i]
        agreement = np.mean([labels[j] == labels[i] for j in others[: rule.k]])
        closest = {
            int(m): min(
                (
                    float(np.linalg.norm(points[m] - points[j]))
                    for j in range(len(points))
                    if j != m and labels[j] == labels[m]
                ),
                default=0.0,
            )
            for m in np.flatnonzero(labels == labels[i])
        }
        far = np.quantile(list(closest.values()), rule.quantile)
        found.append((closest[i], bool(len(closest) > 1 and agreement >= rule.agreement and closest[i] >= far)))
    return found


@settings(max_examples=60)
@given(
    st.lists(GRID, min_size=3, max_size=25, unique=True),
    st.randoms(use_true_random=False),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 0.9]),
)
def test_equal_to_the_definition(cells, random, k, agreement, quantile) -> None:  # type: ignore[no-untyped-def]
    jitter = np.random.default_rng(random.randint(0, 2**31)).normal(0, 0.01, (len(cells), 2))  # no ties
    points = np.array(cells) + jitter
    labels = np.array([random.randint(0, 2) for _ in cells])
    rule = Rule(k=k, agreement=agreement, quantile=quantile)
    found = find_edge_cases(points, labels, rule)
    for i, (distance, edge) in enumerate(reference(points, labels, rule)):
        assert found.isolation[i] == pytest.approx(distance)
        assert found.edge[i] == edge


def test_a_lonely_member_of_a_tight_cluster_is_found_and_a_stranger_is_not() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 0.1, (30, 2)), rng.normal(9, 0.1, (30, 2)), [[1.5, 0]], [[9, 9.05]]])
    labels = np.array([0] * 30 + [1] * 30 + [0, 0])  # the last one lies in the other cluster
    found = find_edge_cases(points, labels, Rule(k=5, agreement=0.8, quantile=0.95))
    assert found.edge[60]
    assert not found.edge[61]


def test_degenerate_sets_have_no_edge_cases() -> None:
    rule = Rule(k=50, agreement=0.5, quantile=0.9)
    assert not find_edge_cases(np.zeros((1, 2)), np.array([0]), rule).edge.any()
    assert not find_edge_cases(np.zeros((0, 2)), np.zeros(0, np.int64), rule).edge.any()
    assert not find_edge_cases(np.zeros((6, 2)), np.array([0, 0, 0, 0, 0, 1]), rule).edge.any()  # all in one place


@settings(max_examples=60)
@given(st.integers(1, 30), st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 0.85, 1.0]))
def test_by_margin_equal_to_the_definition(count: int, seed: int, quantile: float) -> None:
    rng = np.random.default_rng(seed)
    labels, probability = rng.integers(0, 3, count), rng.dirichlet(np.ones(3), count)
    probability[rng.random((count, 3)) < 0.1] = np.nan
    found = find_by_margin(probability, labels, quantile=quantile)
    known = [[0.0 if np.isnan(value) else value for value in row] for row in probability.tolist()]
    margins = [
        row[label] - max(row[c] for c in range(3) if c != label)
        for row, label in zip(known, labels.tolist(), strict=True)
    ]
    for i, label in enumerate(labels.tolist()):
        of_class = [1 - margins[j] for j in range(count) if labels[j] == label and margins[j] >= 0]
        assert found.isolation[i] == pytest.approx(1 - margins[i] if margins[i] >= 0 else 0.0)
        assert found.agreement[i] == known[i][label]
        far = len(of_class) > 1 and found.isolation[i] >= np.quantile(of_class, quantile) - 1e-15
        assert found.edge[i] == (margins[i] >= 0 and far)


def test_by_margin_the_least_sure_of_each_class_are_found() -> None:
    sure, torn, wrong, lost = [0.9, 0.1, 0.0], [0.5, 0.4, 0.1], [0.3, 0.7, 0.0], [0.0, 0.05, 0.95]
    found = find_by_margin(np.array([sure, torn, sure, wrong, lost]), np.array([0, 0, 0, 0, 2]), quantile=0.75)
    # A class of one image has none, and an image of which another class is likelier is none.
    assert found.edge.tolist() == [False, True, False, False, False]
    assert found.isolation.tolist() == pytest.approx([0.2, 0.9, 0.2, 0.0, 0.1])


@settings(max_examples=80)
@given(st.lists(st.integers(0, 3), min_size=4, max_size=40), st.integers(0, 60), st.integers(1, 9), st.integers(0, 99))
def test_every_class_gets_exactly_the_copies_that_it_lacks(
    labels: list[int], wanted: int, copies: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    classes = np.array([0, 1, 2, 3, *labels])
    edge = rng.random(len(classes)) < 0.3
    missing = np.array([wanted, 0, wanted // 2, 1])
    chosen = choose_edge_parents(classes, rng.random(len(classes)), edge, missing=missing, copies=copies)
    assert np.bincount(classes[chosen], minlength=4).tolist() == missing.tolist()
    for label in range(4):
        times = np.bincount(chosen, minlength=len(classes))[classes == label]
        if edge[(classes == label)].any() and missing[label] >= edge[classes == label].sum():
            assert times[edge[classes == label]].min() >= 1  # edge cases come first
        if missing[label] <= copies * (classes == label).sum() and not edge[classes == label].any():
            assert times.max() <= copies


@settings(max_examples=80)
@given(st.lists(st.integers(0, 2), max_size=30), st.integers(0, 200), st.integers(1, 9), st.integers(0, 99))
def test_no_image_gets_more_copies_than_it_has_room_for_and_its_class_all_that_fit(
    labels: list[int], wanted: int, copies: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    classes = np.array([0, 1, 2, *labels])
    distance, edge, room = rng.random(len(classes)), rng.random(len(classes)) < 0.3, rng.integers(0, 9, len(classes))
    missing = np.array([wanted, wanted // 3, 0])
    chosen = choose_edge_parents(classes, distance, edge, missing=missing, copies=copies, room=room)
    assert (np.bincount(chosen, minlength=len(classes)) <= room).all()
    fits = np.minimum(missing, [room[classes == label].sum() for label in range(3)])
    assert np.bincount(classes[chosen], minlength=3).tolist() == fits.tolist()
    endless = np.full(len(classes), 10**6)
    free = choose_edge_parents(classes, distance, edge, missing=missing, copies=copies, room=endless)
    unbounded = choose_edge_parents(classes, distance, edge, missing=missing, copies=copies)
    assert free.tolist() == unbounded.tolist()


def test_copies_that_find_no_room_go_to_the_images_with_the_fewest() -> None:
    chosen = choose_edge_parents(
        np.zeros(4, np.int64),
        np.array([4.0, 3.0, 2.0, 1.0]),
        np.array([True, False, False, False]),
        missing=np.array([7]),
        copies=4,
        room=np.array([1, 9, 9, 9]),
    )
    assert np.bincount(chosen).tolist() == [1, 3, 2, 1]  # 4 and 3 without a bound


def test_copies_of_an_empty_class_are_refused() -> None:
    with pytest.raises(ValueError, match="class 1 has no image to copy"):
        choose_edge_parents(np.array([0]), np.zeros(1), np.zeros(1, bool), missing=np.array([0, 2]), copies=3)


def test_rules_that_find_nothing_are_refused() -> None:
    with refused_params(Rule, "quantile must be at most 1.0, got 1.5"):
        Rule(k=3, agreement=0.5, quantile=1.5)
    with refused_params(Rule, "k must be at least 1, got 0"):
        Rule(k=0, agreement=0.5, quantile=0.5)
