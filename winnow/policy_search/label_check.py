"""The label check: does a class stay recognisable under an operation, and up to which magnitude?

A classifier that was not trained on an image classifies it untouched and under each operation at each magnitude of a
grid; what is measured is the fall of a class's own recognition, on paired images, with a one-sided confidence bound.

With ``by: ensemble`` that classifier is a network of the ensemble (``ensemble_check``). With ``by: own`` classifiers
are trained for it, here. One that never saw a strong shear might fail on any, which would show nothing about the
label. So it is trained on images of which a share is under one of the operations, at a magnitude from the whole range:
what an operation does to all classes alike (a slant, white on black) is learnt from all of them together. The share is
small, so that a class's own new shape is not memorised against its appearance: a mirrored IV is taken for a VI, an
upside-down V for no known class, a numeral pushed off the page for a narrower one. Inversion changes no shape and
takes longer to learn, so its share is larger; where it makes one class look like another of similar size, the
recognition of both falls (beyond three times the size, the larger class may be recognised all the same). Light views
of every image remove what would distinguish mirrored from untouched images otherwise, such as the slant of the hand.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from winnow.dataset.draws import rows_by_class
from winnow.dataset.folds import deal_folds
from winnow.engine.jobs import run_jobs
from winnow.policy_search.label_check_training import Check, Indices, Pixels, judge_fold
from winnow.transforms.operations import OPERATIONS

SURVIVES, CUT, UNJUDGED, REFUSED = "survives", "cut", "not judged", "refused for all"


@dataclass(frozen=True)
class LabelCheck:
    """The result of a label check."""

    limits: dict[str, dict[str, float]]  # operation: class: largest magnitude that its label survives; 0: none
    report: list[dict[str, object]]  # one row per operation, class and magnitude


def find_limits(
    images: Pixels,
    labels: Indices,
    classes: Sequence[str],
    operations: Sequence[str],
    check: Check,
    *,
    groups: Sequence[str],
    seed: int,
) -> LabelCheck:
    """The magnitudes of each operation that each class's label survives.

    Args:
        images: (N, H, W, C) training images at the working size.
        labels: (N,) class indices.
        classes: K names.
        operations: names of ``OPERATIONS``.
        check: the settings.
        groups: (N,) equal for images that belong together, as equal ones do.
        seed: of draws, folds, weights and views.

    Returns:
        Limits and report; equal for equal arguments.

    The time is that of at most images · (folds - 1) · epochs training views, and of as many judged views as
    there are images, operations and magnitudes.
    """
    rng = np.random.default_rng(seed)
    chosen = at_most(labels, check, rng)
    images, labels = images[chosen], labels[chosen]
    folds = deal_folds(labels, [groups[row] for row in chosen], folds=check.folds, rng=rng)
    seeds = rng.integers(2**31, size=check.folds).tolist()
    jobs = [
        (images, labels, folds != fold, len(classes), tuple(operations), check, seeds[fold])
        for fold in range(check.folds)
    ]
    steps = check.folds * (check.epochs + len(operations))
    answers = run_jobs(judge_fold, jobs, steps=steps, label="label check: epochs")
    taken_for = np.zeros((len(operations), 1 + len(check.magnitudes), len(labels)), dtype=np.int64)
    for fold, answer in enumerate(answers):
        taken_for[:, :, folds == fold] = answer
    return decide_or_pool(taken_for, labels, classes, operations, check)


def at_most(labels: Indices, check: Check, rng: np.random.Generator) -> Indices:
    """Ascending rows of at most ``images_per_class`` images of each class, and of at most ``images`` in all.

    Where these do not suffice for all classes, some are drawn whole: a few images of every class would judge none. The
    other classes are left without, and so are those of fewer than ``least_images``.
    """
    parts = [rng.permutation(rows)[: check.images_per_class] for rows in rows_by_class(labels)]
    if sum(map(len, parts)) > check.images:
        large = [part for part in parts if len(part) >= check.least_images] or parts
        drawn = [large[place] for place in rng.permutation(len(large))]
        parts = [part for part, end in zip(drawn, np.cumsum([*map(len, drawn)]), strict=True) if end <= check.images]
    return np.sort(np.concatenate(parts))


def decide(
    taken_for: Indices,
    labels: Indices,
    classes: Sequence[str],
    operations: Sequence[str],
    check: Check,
    *,
    chance: float | None = None,
) -> LabelCheck:
    """Limits from the classes that the images were taken for.

    With u_i and t_i whether image i is recognised untouched and transformed, a magnitude is cut where the lower bound
    of the mean of (1 - tolerance) u_i - t_i over the class is above 0 (normal approximation), and so are all magnitudes
    above it. A class that cannot be judged, because it has too few images or is recognised no better than by chance,
    gets the strictest limit of those that can. Where none can, an operation is held to the smallest magnitude, and one
    with a look of its own is refused. An operation that most judged classes do not survive at any magnitude is
    refused for all, and so is one with a ``look`` of its own (inversion) where a single class does not survive it:
    applied to the others alone, it would reveal their classes. Every class is tested at ``confidence`` by itself, so
    the more classes there are, the likelier is a refusal by chance.

    Args:
        taken_for: (operations, 1 + magnitudes, N) class indices, untouched first.
        labels: (N,).
        classes: K names.
        operations: their names.
        check: magnitudes and criterion.
        chance: share of the images that would be recognised by chance; None: 1 / K.
    """
    by_chance = 1 / len(classes) if chance is None else chance
    rows_of = [np.flatnonzero(labels == k) for k in range(len(classes))]
    limits: dict[str, dict[str, float]] = {}
    report: list[dict[str, object]] = []
    for name, answers in zip(operations, taken_for, strict=True):
        judged: dict[str, float] = {}
        rows_of_operation: list[dict[str, object]] = []
        for k, label in enumerate(classes):
            rows, limit = _judge_class(answers[:, rows_of[k]], k, classes, check, by_chance)
            rows_of_operation.extend({"operation": name, "class": label, **row} for row in rows)
            if limit is not None:
                judged[label] = limit
        refused = sum(limit == 0 for limit in judged.values())
        if refused > (0 if OPERATIONS[name].look else len(judged) / 2):
            judged = dict.fromkeys(judged, 0.0)
            rows_of_operation = [
                {**row, "verdict": REFUSED} if row["verdict"] == SURVIVES else row for row in rows_of_operation
            ]
        report.extend(rows_of_operation)
        unknown = 0.0 if OPERATIONS[name].look else check.magnitudes[0]
        strictest = min(judged.values(), default=unknown)
        limits[name] = {label: judged.get(label, strictest) for label in classes}
    return LabelCheck(limits, report)


def decide_or_pool(
    taken_for: Indices, labels: Indices, classes: Sequence[str], operations: Sequence[str], check: Check
) -> LabelCheck:
    """``decide`` by class, or, where no class has enough images, of all images as one class against the rest."""
    if np.bincount(labels, minlength=len(classes)).max(initial=0) >= check.least_images:
        return decide(taken_for, labels, classes, operations, check)
    wrong = (taken_for != labels).astype(np.int64)  # 0 where recognised
    chance = 1 / len(classes)
    pooled = decide(wrong, np.zeros_like(labels), ["all classes", "none"], operations, check, chance=chance)
    limits = {name: dict.fromkeys(classes, by_class["all classes"]) for name, by_class in pooled.limits.items()}
    return LabelCheck(limits, [row for row in pooled.report if row["class"] == "all classes"])


def _judge_class(
    answers: Indices, k: int, classes: Sequence[str], check: Check, chance: float
) -> tuple[list[dict[str, object]], float | None]:
    """Rows of the report, and the limit or None where it cannot be judged; ``answers`` (1 + magnitudes, n)."""
    untouched = answers[0] == k  # (n,)
    n = len(untouched)
    judged = n >= check.least_images and untouched.mean() > chance
    limit = 0.0
    rows: list[dict[str, object]] = []
    for magnitude, answer in zip(check.magnitudes, answers[1:], strict=True):
        cut = judged and _lower_bound((1 - check.tolerance) * untouched - (answer == k), check.confidence) > 0
        if not cut and not any(row["verdict"] == CUT for row in rows):
            limit = magnitude
        others = np.bincount(answer, minlength=len(classes)) - np.bincount(answers[0], minlength=len(classes))
        others[k] = 0
        rows.append(
            {
                "magnitude": magnitude,
                "images": n,
                "untouched": float(untouched.mean()) if n else None,
                "recognised": float((answer == k).mean()) if n else None,
                "more_often_taken_for": classes[int(others.argmax())] if others.max(initial=0) > 0 else None,
                "verdict": (CUT if cut else SURVIVES) if judged else UNJUDGED,
            }
        )
    return rows, limit if judged else None


def _lower_bound(values: npt.NDArray[np.float64], confidence: float) -> float:
    """One-sided bound of the mean."""
    error = values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - NormalDist().inv_cdf(confidence) * error)
