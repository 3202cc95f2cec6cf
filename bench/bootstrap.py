"""How well a ranking of N images finds the faulty ones, with intervals of a bootstrap over the images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

LEVEL = 0.95

Scores = npt.NDArray[np.float64]
Faulty = npt.NDArray[np.bool_]
Draws = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spread:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def best_f1(faulty: Faulty, harm: Scores) -> float:
    """The greatest F1 of any threshold."""
    precision, recall, _ = precision_recall_curve(faulty, harm)
    both = precision + recall
    return float(np.max(np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)))


FIGURES: Mapping[str, Callable[[Faulty, Scores], float]] = {
    "AUC": lambda faulty, harm: float(roc_auc_score(faulty, harm)),
    "average precision": lambda faulty, harm: float(average_precision_score(faulty, harm)),
    "best F1": best_f1,
}


def draws(faulty: Faulty, *, count: int, seed: int) -> Draws:
    """(count, N) rows of a bootstrap over the images; a resample without faults, or without sound images, is redrawn.

    Args:
        faulty: (N,), of both kinds.
        count: how many resamples.
        seed: of the draws.
    """
    if not 0 < faulty.sum() < len(faulty):
        raise SystemExit("the images have no faults, or nothing else: there is nothing to rank")
    rng = np.random.default_rng(seed)
    found: list[npt.NDArray[np.int64]] = []
    while len(found) < count:
        rows = rng.integers(len(faulty), size=len(faulty))
        if 0 < faulty[rows].sum() < len(rows):
            found.append(rows)
    return np.stack(found)


def spreads(faulty: Faulty, ranking: Scores, against: Scores, resamples: Draws) -> dict[str, tuple[Spread, Spread]]:
    """Of each figure, that of a ranking and its difference from another's.

    Args:
        faulty: (N,).
        ranking: (N,), lower is worse.
        against: (N,), likewise.
        resamples: of ``draws``.
    """
    found = {}
    for name, of in FIGURES.items():
        ours = np.array([of(faulty[rows], -ranking[rows]) for rows in resamples])
        theirs = np.array([of(faulty[rows], -against[rows]) for rows in resamples])
        value, other = of(faulty, -ranking), of(faulty, -against)
        found[name] = (_spread(value, ours), _spread(value - other, ours - theirs))
    return found


def verdict_f1(faulty: Faulty, touched: Faulty, resamples: Draws) -> Spread:
    """F1 of the images that the verdicts touched."""

    def f1(rows: npt.NDArray[np.int64] | slice) -> float:
        return 2 * float((faulty[rows] & touched[rows]).sum()) / max(1, int(faulty[rows].sum() + touched[rows].sum()))

    return _spread(f1(slice(None)), np.array([f1(rows) for rows in resamples]))


def _spread(value: float, resampled: Scores) -> Spread:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Spread(value, float(low), float(high))
