"""The plane: equal every time, of any count, and of many points a sample by class with the rest placed among it."""

import numpy as np
import pytest

from winnow.dataset.draws import in_turn
from winnow.representation import plane as module
from winnow.representation.plane import plane


def test_the_plane_is_the_same_every_time_and_takes_any_count() -> None:
    points, labels = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32), np.zeros(40, np.int64)
    laid, placed = plane(points, labels, seed=1, placed=points[:3])
    again, _ = plane(points, labels, seed=1)
    assert np.array_equal(laid, again)
    assert placed.shape == (3, 2)
    assert np.isfinite(laid).all()
    for count in (0, 1, 3, 4):
        assert plane(points[:count], labels[:count], seed=0)[0].shape == (count, 2)
    assert np.isfinite(plane(np.ones((20, 3), np.float32), labels[:20], seed=0)[0]).all()  # all images equal


def test_of_many_points_every_class_is_laid_out_and_the_rest_lies_at_the_median_of_its_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 7)  # several blocks
    rng = np.random.default_rng(0)
    labels = np.array([0] * 48 + [1, 2])  # two classes of one image
    points = rng.normal(size=(50, 5)).astype(np.float32)
    laid, placed = plane(points, labels, seed=3, placed=points[48:], most=20)
    chosen = in_turn(labels, 20, np.random.default_rng(3))
    assert {48, 49} <= set(chosen.tolist())
    alone, _ = plane(points[chosen], labels[chosen], seed=3)
    assert np.array_equal(laid[chosen], alone)
    for i in set(range(50)) - set(chosen.tolist()):
        near = np.argsort(np.linalg.norm(points[chosen] - points[i], axis=1))[: module.NEAREST]
        np.testing.assert_allclose(laid[i], np.median(alone[near], axis=0))
    near = np.argsort(np.linalg.norm(points[chosen] - points[48], axis=1))[: module.NEAREST]
    np.testing.assert_allclose(placed[0], np.median(alone[near], axis=0))
