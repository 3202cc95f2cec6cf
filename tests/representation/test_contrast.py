"""Contrasts against their definition, image by image, and the votes of groups."""

import numpy as np
import numpy.typing as npt
import pytest

from winnow.representation import contrast as module
from winnow.representation.contrast import class_contrasts, unit_features


def drawn(n: int = 40, d: int = 6, k: int = 3) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    return unit_features(rng.normal(size=(n, d)).astype(np.float32)), rng.integers(0, k, n)


@pytest.mark.parametrize("ranked", [1, 8, 64])  # of few, some classes hold all: those are looked up among all voters
def test_contrasts_are_differences_of_mean_similarities(monkeypatch: pytest.MonkeyPatch, ranked: int) -> None:
    features, labels = drawn()
    voters = np.arange(40) % 5 != 0
    monkeypatch.setattr(module, "BLOCK", 7)  # several blocks
    monkeypatch.setattr(module, "NEAREST", ranked)
    found = class_contrasts(features, labels, np.arange(40), voters, classes=3, k=4)
    for i in range(40):
        for label in range(3):
            sides = []
            for inside in (True, False):
                rows = [j for j in range(40) if j != i and voters[j] and (labels[j] == label) == inside]
                sides.append(np.mean(sorted(float(features[i] @ features[j]) for j in rows)[-4:]))
            np.testing.assert_allclose(found[i, label], sides[0] - sides[1], atol=1e-5)


def test_a_group_has_one_vote_and_none_for_itself() -> None:
    features = unit_features(np.random.default_rng(1).normal(size=(12, 4)).astype(np.float32))
    features[1] = features[0]  # two pictures of one thing
    labels = np.array([0, 0] + [0, 1] * 5)
    groups = np.arange(12)
    groups[1] = 0
    together = class_contrasts(features, labels, groups, np.ones(12, dtype=bool), classes=2, k=20)
    alone = np.delete(np.arange(12), 1)
    without = class_contrasts(features[alone], labels[alone], alone, np.ones(11, dtype=bool), classes=2, k=20)
    np.testing.assert_allclose(together[alone], without, atol=1e-6)


def test_a_group_contradicts_its_own_images() -> None:
    features = unit_features(np.random.default_rng(2).normal(size=(12, 4)).astype(np.float32))
    features[1] = features[0]
    labels = np.array([0, 1] + [0, 1] * 5)
    groups = np.arange(12)
    alone = class_contrasts(features, labels, groups, np.ones(12, dtype=bool), classes=2, k=3)
    groups[1] = 0
    found = class_contrasts(features, labels, groups, np.ones(12, dtype=bool), classes=2, k=3)
    np.testing.assert_allclose(found[0, 0], alone[0, 0], atol=1e-6)  # the other label of its group is among the others
    np.testing.assert_allclose(found[1, 1], alone[1, 1], atol=1e-6)


def test_a_class_without_voters_is_unknown() -> None:
    features, labels = drawn()
    found = class_contrasts(features, labels, np.arange(40), labels != 2, classes=3, k=4)
    assert np.isnan(found[:, 2]).all()
    assert np.isfinite(found[:, :2]).all()


def test_unit_features_have_unit_length_and_no_constant() -> None:
    features = np.random.default_rng(3).normal(size=(9, 5)).astype(np.float32)
    features[:, 2] = 4.0
    unit = unit_features(features)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    assert (unit[:, 2] == 0).all()
    assert unit_features(features[:0]).shape == (0, 5)


def test_unit_features_are_standardised_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 7)
    features = (1000 + np.random.default_rng(4).normal(size=(40, 3)) * [1, 2, 3]).astype(np.float32)
    exact = features.astype(np.float64)
    standard = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    expected = standard / np.linalg.norm(standard, axis=1, keepdims=True)
    np.testing.assert_allclose(unit_features(features), expected, atol=1e-6)


def test_of_many_voters_a_share_of_each_class_votes_and_always_some(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.repeat([0, 1, 2, 3], [600, 300, 90, 3])
    rows = np.arange(0, 993)
    assert np.array_equal(module._some_of_each(rows, labels), rows)
    monkeypatch.setattr(module, "VOTERS", 331)  # one in three
    some = module._some_of_each(rows[::-1], labels)
    assert np.array_equal(some, np.unique(some))
    assert np.bincount(labels[some]).tolist() == [200, 100, 30, 3]
    monkeypatch.setattr(module, "VOTERS", 33)
    assert np.bincount(labels[module._some_of_each(rows, labels)]).tolist() == [20, 16, 16, 3]


def test_contrasts_of_many_are_those_among_the_images_that_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = drawn(120)
    monkeypatch.setattr(module, "VOTERS", 40)
    monkeypatch.setattr(module, "LEAST_VOTERS", 2)
    voting = module._some_of_each(np.arange(120), labels)
    found = class_contrasts(features, labels, np.arange(120), np.ones(120, dtype=bool), classes=3, k=4)
    monkeypatch.setattr(module, "VOTERS", 1000)
    voters = np.isin(np.arange(120), voting)
    np.testing.assert_array_equal(found, class_contrasts(features, labels, np.arange(120), voters, classes=3, k=4))
