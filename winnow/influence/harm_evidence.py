"""What influence says of an image, as evidence beside a verdict: which label-book images it harms, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from winnow.influence.harm import standardised, surely_harmful

Array = npt.NDArray[np.float64]

DEVIATION = -3.0  # an effect so many standard deviations below its class's mean, and below 0, is harm
LEAST_SHOWN = 0.001  # of the p-values


@dataclass(frozen=True)
class Evidence:
    """What the influence of one image says."""

    sentence: str
    harmed: list[str]  # ids of the label book, the worst harmed first
    sure: bool  # significant at the false-discovery rate


def evidence_of_harm(
    effect: Array, labels: npt.NDArray[np.int64], p: Array, book: Sequence[str], *, rate: float
) -> list[Evidence]:
    """The evidence of every image.

    Args:
        effect: (N, M) removal effects.
        labels: (N,) class indices as they stood when the effects were measured.
        p: (N,) of ``harm.measure_harm`` on the same effects.
        book: (M,) ids of the label book.
        rate: of false discoveries among the images called sure, in (0, 1).

    Raises:
        ValueError: shapes that do not fit, or an effect that is not finite.
    """
    if p.shape != effect.shape[:1] or len(book) != effect.shape[-1]:
        raise ValueError(f"{effect.shape} effects need as many p-values and ids, got {p.shape} and {len(book)}")
    standard = standardised(effect, labels)
    harmed = (standard <= DEVIATION) & (effect < 0)  # (N, M)
    sure = surely_harmful(p, rate=rate)
    return [_evidence(*row, book, rate) for row in zip(standard, harmed, p.tolist(), sure.tolist(), strict=True)]


def _evidence(
    standard: Array, harmed: npt.NDArray[np.bool_], p: float, sure: bool, book: Sequence[str], rate: float
) -> Evidence:
    places = np.flatnonzero(harmed)
    worst = places[np.argsort(standard[places], kind="stable")]
    told = f"{'significant' if sure else 'not significant'} at a false-discovery rate of {rate:.0%}"
    shown = f"p {p:.3f}" if p >= LEAST_SHOWN else f"p below {LEAST_SHOWN}"
    sentence = f"its influence harms {len(worst) or 'none'} of {len(book)} label-book images, {told} ({shown})"
    return Evidence(sentence, [book[j] for j in worst], sure)
