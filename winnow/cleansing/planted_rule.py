"""The rule where features are used: an image is kept, dropped or relabelled by its support among planted labels.

A label below the threshold that the planted wrong labels give is wrong. The image gets the label with the best score
instead if that scores as given labels usually do, else it is dropped: what shows no class scores low under every label.
A cleansing that would touch far more than the estimated share of faults touches nothing, since its signals then do not
tell faults from sound images; what it would have done remains as a ranking for people.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from winnow.representation.planted_flips import LEAST_TOUCHED, Planted
from winnow.representation.support import Support
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

Array = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """What a cleansing found out about its source."""

    faults: float  # estimated share of the images that are faults
    touched: float  # share of the images that it drops or relabels, or would
    stopped: bool  # whether it only ranked

    def figures(self) -> dict[str, float | bool]:
        """As estimate.json holds them."""
        known = {} if np.isnan(self.faults) else {"estimated_faults": self.faults}
        return {**known, "touched": self.touched, "stopped": self.stopped}


ESTIMATE = {  # key of data/<round>/<stage>/estimate.json: meaning
    "estimated_faults": "estimated share of the source images of train and val that are faults",
    "touched": "share of them that the rule drops or relabels",
    "stopped": "whether it would have touched far more than that and therefore only ranked them",
}


def judge_by_planted(
    labels: Indices,
    rows: Indices,
    *,
    planted: Planted,
    probability: Array,
    classes: Sequence[str],
    settings: Support,
    copies: npt.NDArray[np.bool_],
) -> list[Verdict]:
    """The verdicts, one per image.

    Args:
        labels: (n,) class indices.
        rows: (n,) of the images in ``planted``.
        planted: support, threshold and scores.
        probability: (n, K) by the classifier, for the reasons.
        classes: K names.
        settings: of the rule.
        copies: (n,) augmented images, which are dropped and never relabelled.
    """
    scores = planted.scores[rows]  # (n, K)
    own = scores[np.arange(len(rows)), labels]
    support = planted.support_of(own)
    others = scores.copy()
    others[np.arange(len(rows)), labels] = -np.inf
    rival = others.argmax(axis=1)
    usual = planted.usual(others.max(axis=1))
    verdicts = []
    for i, label in enumerate(labels.tolist()):
        known = float(support[i])
        seen = _seen(probability[i], label, int(rival[i]), classes)
        if known >= planted.threshold:
            verdicts.append(Verdict(KEEP, label, f"support {known:.2f}", known))
        elif usual[i] >= settings.relabel and not copies[i]:
            verdicts.append(Verdict(RELABEL, int(rival[i]), f"looks like {classes[rival[i]]}, {seen}", known))
        else:
            lacking = f"support {known:.2f} for {classes[label]} where {planted.threshold:.2f} is needed, {seen}"
            verdicts.append(Verdict(DROP, None, lacking, known))
    return verdicts


def _seen(probability: Array, label: int, rival: int, classes: Sequence[str]) -> str:
    known = np.nan_to_num(probability)
    return f"the classifier gives {classes[label]} {known[label]:.0%} and {classes[rival]} {known[rival]:.0%}"


def within_estimate(
    verdicts: Sequence[Verdict],
    labels: Indices,
    *,
    faults: float,
    counted: npt.NDArray[np.bool_],
    stop: float,
) -> tuple[list[Verdict], Estimate]:
    """The verdicts, or, where they touch far more than the estimate, every image kept.

    Args:
        verdicts: (n,).
        labels: (n,) class indices before.
        faults: estimated share; NaN where there is no estimate, and no limit.
        counted: (n,) source images, whose share is compared.
        stop: times the estimate that may be touched.
    """
    changed = np.array([one.action != KEEP for one in verdicts], dtype=bool)
    touched = float(changed[counted].mean()) if counted.any() else 0.0
    stopped = not np.isnan(faults) and touched > max(LEAST_TOUCHED, stop * faults)
    estimate = Estimate(faults, touched, stopped)
    if not stopped:
        return list(verdicts), estimate
    only = f"ranked only, since {touched:.0%} would be touched where {faults:.0%} are estimated to be faults: "
    return [
        replace(one, action=KEEP, label=label, reason=only + one.reason) if one.action != KEEP else one
        for one, label in zip(verdicts, labels.tolist(), strict=True)
    ], estimate
