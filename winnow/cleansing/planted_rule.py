"""The rule: an image is kept, dropped or relabelled by the support of its label among planted faults.

A label below the threshold that the planted faults give is wrong. The image gets the label with the best score instead
where such new labels are expected to be right (``least_usual``), else it is dropped: what shows no class may resemble
one. A new label has to be confirmed by the next cleansing: by networks that learnt from the corrected labels, but not
from the image, where they are trained anew, else against the labels that are left.

A cleansing that would touch far more than the estimated share of faults touches nothing, since its signals then do not
tell faults from sound images; what it would have done remains as a ranking for people.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from winnow.pipeline.json_files import read_json
from winnow.pipeline.messages import UserError
from winnow.representation.planted_faults import LEAST_TOUCHED, Planted
from winnow.representation.support import Support
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

Array = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

RELABELLED = np.linspace(0.1, 0.5, 17)  # how usual a new label may have to be
HIGH = np.linspace(0.1, 0.7, 25)  # where junk is rare among flagged images; further up too few are left to count
BLOCK = 4096  # images whose scores are computed at once
CONFIRMED = 0.1  # how usual a new label must be for the networks that confirm it


@dataclass(frozen=True)
class Estimate:
    """What a cleansing found out about its source."""

    faults: float  # estimated share of the images that are faults; NaN where nothing estimates it
    touched: float  # share of the images that it drops or relabels, or would
    stopped: bool  # whether it only ranked
    left: float  # expected share of faults among those that it keeps; NaN likewise

    def figures(self) -> dict[str, float | bool]:
        """As estimate.json holds them."""
        known = {} if np.isnan(self.faults) else {"estimated_faults": self.faults, "expected_left": self.left}
        return {**known, "touched": self.touched, "stopped": self.stopped}


ESTIMATE = {  # key of data/<round>/<stage>/estimate.json: meaning
    "estimated_faults": "estimated share of the source images of train and val that are faults",
    "expected_left": "expected share of faults among those that are kept",
    "touched": "share of them that the rule drops or relabels",
    "stopped": "whether it would have touched far more than that and therefore only ranked them",
}


def expected_left(path: Path) -> float:
    """The share of faults that a cleansing expected to leave, by its estimate.json; 0 where nothing estimated it.

    Raises:
        UserError: the file is missing or damaged.
    """
    found = read_json(path).get("expected_left", 0.0)
    if not isinstance(found, float | int) or not 0 <= found <= 1:
        raise UserError(f"{path}: expected_left must lie in [0, 1], got {found}; run `dvc checkout --force {path}`")
    return float(found)


def judge_by_planted(
    labels: Indices,
    rows: Indices,
    *,
    planted: Planted,
    probability: Array,
    classes: Sequence[str],
    settings: Support,
    copies: npt.NDArray[np.bool_],
    renamed: npt.NDArray[np.bool_] | None = None,
) -> list[Verdict]:
    """The verdicts, one per image.

    Args:
        labels: (n,) class indices.
        rows: (n,) of the images in ``planted`` and ``probability``.
        planted: support, threshold and scores.
        probability: (N, K) by the classifier, for the reasons; NaN is a class that it does not know.
        classes: K names.
        settings: of the rule.
        copies: (n,) augmented images, which are dropped and never relabelled.
        renamed: (n,) images that got their label by an earlier verdict, which must be usual now. None: none.
    """
    new = np.zeros(len(labels), dtype=bool) if renamed is None else renamed
    own, best, rival = _best_others(labels, rows, planted, probability)
    support = planted.support_of(own)
    usual, own_usual = planted.usual(best), planted.usual(own)
    least = least_usual(usual[(support < planted.threshold) & ~copies], settings.relabel)
    given, others = (np.nan_to_num(probability[rows, its]).tolist() for its in (labels, rival))
    verdicts = []
    for i, label in enumerate(labels.tolist()):
        known, other = float(support[i]), classes[rival[i]]
        seen = f"the classifier gives {classes[label]} {given[i]:.0%} and {other} {others[i]:.0%}"
        if new[i] and own_usual[i] < CONFIRMED:
            verdicts.append(Verdict(DROP, None, f"new label {classes[label]} not confirmed, {seen}", known))
        elif known >= planted.threshold:
            verdicts.append(Verdict(KEEP, label, f"support {known:.2f}", known))
        elif usual[i] >= least and not copies[i]:
            verdicts.append(Verdict(RELABEL, int(rival[i]), f"looks like {other}, {seen}", known))
        else:
            lacking = f"support {known:.2f} for {classes[label]} where {planted.threshold:.2f} is needed, {seen}"
            verdicts.append(Verdict(DROP, None, lacking, known))
    return verdicts


def _best_others(
    labels: Indices, rows: Indices, planted: Planted, probability: Array
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Indices]:
    """(n,) each: the label's score, the best score of another label, and which it is; (N, K) of a block at a time."""
    own, best = np.empty(len(rows)), np.empty(len(rows))
    rival = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        scores = planted.scores.of_images(rows[part])  # (b, K)
        every = np.arange(len(scores))
        own[part] = scores[every, labels[part]]
        scores[every, labels[part]] = -np.inf
        # Who judges the image does not know the class, which cannot be its new label.
        scores[np.isnan(probability[rows[part]])] = -np.inf
        rival[part] = scores.argmax(axis=1)
        best[part] = scores.max(axis=1, initial=-np.inf)
    return own, best, rival


def least_usual(usual: Array, right: float) -> float:
    r"""How usual the best other label of a wrong one must be, to be given; infinite where none can be.

    Let $u$ be how usual a label's score is: the share of the given labels that score no better. Images that were filed
    wrongly show their classes as others do, so that of $b$ of them a share $1 - q$ has a best other label with $u$ at
    least $q$. With $H(q)$ the share of all flagged images that have, junk included,

        b <= min H(q*) / (1 - q*) over high q*, and of the labels at or above q a share of b (1 - q) / H(q) is right.

    The q with the largest share is taken, of those by which half of what can be corrected is.

    Args:
        usual: (m,) of the best other label of each flagged image.
        right: share of the new labels that must be expected to be right.
    """
    if not len(usual):
        return np.inf
    share = np.array([(usual >= q).mean() for q in RELABELLED])
    filed_wrongly = min(1.0, min(float((usual >= q).mean()) / (1 - q) for q in HIGH))
    expected = np.where(share > 0, np.minimum(1.0, filed_wrongly * (1 - RELABELLED) / np.maximum(share, 1e-9)), 0.0)
    best = int(expected.argmax())
    return float(RELABELLED[best]) if expected[best] >= right else np.inf


def within_estimate(
    verdicts: Sequence[Verdict],
    labels: Indices,
    *,
    planted: Planted | None,
    counted: npt.NDArray[np.bool_],
    stop: float,
) -> tuple[list[Verdict], Estimate]:
    """The verdicts, or, where they touch far more than the estimate, every image kept.

    Args:
        verdicts: (n,).
        labels: (n,) class indices before.
        planted: the estimated share and the threshold; None where there is no estimate, and no limit.
        counted: (n,) source images, whose share is compared.
        stop: times the estimate that may be touched.
    """
    changed = np.array([one.action != KEEP for one in verdicts], dtype=bool)
    touched = float(changed[counted].mean()) if counted.any() else 0.0
    if planted is None:
        return list(verdicts), Estimate(np.nan, touched, stopped=False, left=np.nan)
    faults = planted.faults
    stopped = touched > max(LEAST_TOUCHED, stop * faults)
    # Of all images: the share of planted faults below the threshold is the threshold.
    found = 0.0 if stopped else min(touched, faults * planted.threshold)
    left = min(1.0, (faults - found) / max(1e-9, 1 - (0.0 if stopped else touched)))
    estimate = Estimate(faults, touched, stopped, left)
    if not stopped:
        return list(verdicts), estimate
    only = f"ranked only, since {touched:.0%} would be touched where {faults:.0%} are estimated to be faults: "
    return [
        replace(one, action=KEEP, label=label, reason=only + one.reason) if one.action != KEEP else one
        for one, label in zip(verdicts, labels.tolist(), strict=True)
    ], estimate
