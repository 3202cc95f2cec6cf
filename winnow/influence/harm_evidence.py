"""What influence says of an image, as evidence beside a verdict: which label-book images it harms, and how surely."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winnow.influence.columns import BookColumns
from winnow.influence.harm import standardised_classes, surely_harmful

Array = npt.NDArray[np.float64]
Effects = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]

DEVIATION = -3.0  # an effect so many standard deviations below its class's mean, and below 0, is harm
LEAST_SHOWN = 0.001  # of the p-values


@dataclass(frozen=True)
class Evidence:
    """What the influence of one image says."""

    sentence: str
    harmed: list[str]  # ids of the label book, the worst harmed first
    sure: bool  # significant at the false-discovery rate


def evidence_of_harm(effect: Effects, labels: Labels, p: Array, columns: BookColumns, *, rate: float) -> list[Evidence]:
    """The evidence of every image.

    Args:
        effect: (N, M) removal effects on M columns.
        labels: (N,) class indices as they stood when the effects were measured.
        p: (N,) of ``harm.measure_harm`` on the same effects.
        columns: of the effects. A class is shown by one of its label-book images.
        rate: of false discoveries among the images called sure, in (0, 1).

    Raises:
        ValueError: shapes that do not fit, or an effect that is not finite.

    Memory O(n M) for n images of a class.
    """
    if p.shape != effect.shape[:1] or len(columns) != effect.shape[-1]:
        raise ValueError(f"{effect.shape} effects need as many p-values and columns, got {p.shape} and {len(columns)}")
    sure = surely_harmful(p, rate=rate)
    found: dict[int, Evidence] = {}
    for members, standard in standardised_classes(effect, labels):
        harmed = (standard <= DEVIATION) & (effect[members] < 0)  # (n, M)
        for row, its, places in zip(members.tolist(), standard, harmed, strict=True):
            worst = np.flatnonzero(places)
            worst = worst[np.argsort(its[worst], kind="stable")]
            ids = [columns.shown[column] for column in worst]
            found[row] = Evidence(
                _sentence(len(ids), columns, float(p[row]), bool(sure[row]), rate), ids, bool(sure[row])
            )
    return [found[row] for row in range(len(effect))]


def _sentence(harmed: int, columns: BookColumns, p: float, sure: bool, rate: float) -> str:
    told = f"{'significant' if sure else 'not significant'} at a false-discovery rate of {rate:.0%}"
    shown = f"p {p:.3f}" if p >= LEAST_SHOWN else f"p below {LEAST_SHOWN}"
    return f"its influence harms {harmed or 'none'} of {columns.counted()}, {told} ({shown})"
