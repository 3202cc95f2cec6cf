"""The nearest images: exact up to a size, beyond it by an inverted file.

The exact search compares every image with every other. Beyond ``EXACT`` images their points are dealt into cells of
about ``CELL`` by k-means, and an image is compared with the centre of each cell and with the points of the ``PROBED``
cells nearest to it (faiss, IVFFlat): 4,000 points and one centre for 256 images. Of 30 neighbours 98 % or more are
found, measured on drawn points (tests/representation/test_neighbours.py).
Equal input gives equal output on any number of cores: one thread computes, and draws are seeded.
"""

from collections.abc import Sequence

import faiss
import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from winnow.engine.jobs import Tick, run_jobs
from winnow.pipeline.scratch import scratch_array

Points = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

EXACT = 20_000  # images up to which the search is exact
CELL, PROBED = 256, 16  # points of a cell, about, and cells that are searched
LEARNED = 40  # points of a cell by which the cells are found
QUERIES = 65_536  # of a job, which finds the cells anew

Search = tuple[Points, Indices, Indices]  # (N, D) points, (n,) rows whose neighbours are found, rows that may be


def nearest_of_all(searches: Sequence[Search], k: int) -> list[tuple[Indices, Points]]:
    """``nearest`` of each search; large ones in worker processes, by blocks of queries.

    Args:
        searches: points, queries and candidates of each.
        k: neighbours.
    """
    jobs = [
        (points, queries[start : start + QUERIES], among, k)
        for points, queries, among in searches
        for start in range(0, max(1, len(queries)), QUERIES)
    ]
    if max((len(among) for _, _, among in searches), default=0) <= EXACT:
        found = [nearest(*job) for job in jobs]
    else:
        found = run_jobs(nearest_job, jobs, steps=len(jobs), label="neighbours: blocks")
    blocks, results = iter(found), []
    for _, queries, _ in searches:
        parts = [next(blocks) for _ in range(0, max(1, len(queries)), QUERIES)]
        results.append((np.concatenate([rows for rows, _ in parts]), np.concatenate([far for _, far in parts])))
    return results


def nearest_job(points: Points, queries: Indices, among: Indices, k: int, tick: Tick) -> tuple[Indices, Points]:
    """``nearest`` as a job for a worker."""
    found = nearest(points, queries, among, k)
    tick()
    return found


def nearest(points: Points, queries: Indices, among: Indices, k: int) -> tuple[Indices, Points]:
    """(n, k) rows and distances of the nearest others, nearest first; about so, beyond ``EXACT`` candidates.

    Args:
        points: (N, D).
        queries: (n,) rows whose neighbours are found.
        among: rows that may be neighbours; a query is never its own neighbour.
        k: neighbours; fewer where fewer are left.
    """
    if not len(queries):
        return np.zeros((0, k), np.int64), np.zeros((0, k), np.float32)
    most = min(k + 1, len(among))
    if len(among) <= EXACT:
        found = NearestNeighbors(n_neighbors=most, algorithm="brute").fit(points[among])
        distance, position = found.kneighbors(points[queries])
    else:
        distance, position = _by_cells(points, queries, among, most)
    rows = among[position]  # (n, k + 1)
    # A query may be among the candidates (the label book): it is removed, whatever its rank.
    self_last = np.argsort(rows == queries[:, None], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, self_last, 1), np.take_along_axis(distance, self_last, 1).astype(np.float32)


def _by_cells(points: Points, queries: Indices, among: Indices, k: int) -> tuple[npt.NDArray[np.floating], Indices]:
    """(n, k) distances and positions among the candidates, by the cells nearest to each query."""
    candidates = scratch_array((len(among), points.shape[1]), np.float32)  # the index holds them once more
    for start in range(0, len(among), QUERIES):
        candidates[start : start + QUERIES] = points[among[start : start + QUERIES]]
    cells = len(among) // CELL
    with threadpool_limits(1):
        quantizer = faiss.IndexFlatL2(points.shape[1])
        index = faiss.IndexIVFFlat(quantizer, points.shape[1], cells)
        index.cp.niter, index.cp.max_points_per_centroid = 10, LEARNED
        index.train(candidates)
        index.add(candidates)
        index.nprobe = PROBED
        squared, position = index.search(np.ascontiguousarray(points[queries], np.float32), k)
    distance = np.sqrt(np.maximum(squared, 0))
    short = np.flatnonzero((position < 0).any(axis=1))  # their cells hold too few
    if len(short):
        exact = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(candidates)
        distance[short], position[short] = exact.kneighbors(points[queries[short]])
    return distance, position
