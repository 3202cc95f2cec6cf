"""Nearest neighbours against their definition, and the search by cells against the exact one."""

import numpy as np
import numpy.typing as npt
import pytest

from winnow.representation import neighbours as module
from winnow.representation.neighbours import nearest, nearest_job, nearest_of_all


def clusters(count: int, dimensions: int = 24) -> npt.NDArray[np.float32]:
    """Unit vectors of ten classes on a curved sheet of eight dimensions, as a network places images."""
    rng = np.random.default_rng(0)
    inner = rng.normal(size=(10, 8))[rng.integers(0, 10, count)] + rng.normal(size=(count, 8))
    points = np.maximum(0, inner @ rng.normal(size=(8, dimensions)))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_the_nearest_are_those_of_the_definition_without_the_image_itself() -> None:
    points, queries, among = clusters(60), np.array([3, 7, 50]), np.arange(40)
    index, distance = nearest(points, queries, among, 5)
    for row, query in enumerate(queries.tolist()):
        far = np.linalg.norm(points[among] - points[query], axis=1)
        order = [one for one in np.argsort(far, kind="stable").tolist() if one != query][:5]
        assert index[row].tolist() == order
        np.testing.assert_allclose(distance[row], far[order], atol=1e-4)


def test_identical_images_are_each_others_neighbours_and_never_their_own() -> None:
    rows = np.arange(12)
    index, distance = nearest(np.ones((12, 4), np.float32), rows, rows, 5)
    assert index.shape == (12, 5)
    assert all(i not in near and len(set(near)) == 5 for i, near in enumerate(index.tolist()))
    assert (distance == 0).all()


def test_beyond_the_exact_size_nearly_all_are_found_and_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    points, rows = clusters(12_000), np.arange(12_000)
    queries = rows[::40]
    exact, far = nearest(points, queries, rows, 30)
    monkeypatch.setattr(module, "EXACT", 11_999)
    about, distance = nearest(points, queries, rows, 30)
    found = np.mean([len(set(one) & set(other)) / 30 for one, other in zip(exact, about, strict=True)])
    assert found >= 0.98
    assert not (about == queries[:, None]).any()
    assert (np.diff(distance, axis=1) >= 0).all()
    same = about == exact
    np.testing.assert_allclose(distance[same], far[same], atol=1e-3)
    again, _ = nearest(points, queries, rows, 30)
    assert np.array_equal(about, again)


def test_where_the_cells_hold_too_few_the_search_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    points, rows = clusters(600), np.arange(600)
    exact, _ = nearest(points, rows, rows, 50)
    monkeypatch.setattr(module, "EXACT", 100)
    monkeypatch.setattr(module, "CELL", 40)
    monkeypatch.setattr(module, "PROBED", 1)
    monkeypatch.setattr(module, "LEARNED", 256)
    found, _ = nearest(points, rows, rows, 50)  # more than a cell of 40 has
    assert (found[:, -1] >= 0).all()
    assert np.mean(found == exact) > 0.5


def test_blocks_of_queries_are_put_together_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    points, rows = clusters(50), np.arange(50)
    searches = [(points, rows[::2], rows), (points[::-1].copy(), rows[:0], rows), (points, rows[:3], rows[10:])]
    whole = [nearest(*search, 4) for search in searches]
    monkeypatch.setattr(module, "QUERIES", 4)
    parts = nearest_of_all(searches, 4)
    assert [len(index) for index, _ in parts] == [25, 0, 3]
    ticks: list[int] = []
    for (index, distance), (wanted, far) in zip(parts, whole, strict=True):
        assert np.array_equal(index, wanted)
        np.testing.assert_allclose(distance, far, atol=1e-4)
    assert np.array_equal(nearest_job(*searches[0], 4, lambda: ticks.append(1))[0], whole[0][0])
    assert ticks == [1]
