r"""The gate: does a round's dataset train a model that is not worse than the one trained on what came in?

Two questions are asked. *Cleansing*: the source images that the round keeps, with their new labels, against those that
came in, neither side with copies. *Augmentation*: all that the round made against its source images alone. Asked
together, the gain of many copies would hide what a cleansing costs.

A first look asks one question alone, what both do together, which takes two trainings in the place of three: many good
copies may then hide a cleansing that costs something. What came in has the copies of earlier rounds then, which are
passed on with it. Its networks are few and short, their interval is wide, and the
round is refused only where it is surely worse than the margin.

Held-out images are cross-fitted: the images that came in, val and label book among them, are dealt into folds by group,
and each is classified by models that were trained without its fold. The competition's model learns for the same number
of updates on every side, to within an epoch; heads and fine-tuned networks for their usual epochs. No image chooses an
epoch. One thing held out is not out of sight: the round's verdicts on *other* images were made with it.

A question is passed where the gain is not worse than the margin: the lower end of its two-sided 90 % interval, which is
a one-sided 95 % bound, lies above -margin (a non-inferiority test, as of clinical trials: Piaggio et al. 2012). Both
together have to pass it too, since two small harms add up. A gain of -margin passes in 5 % of cases; how often a
neutral round passes depends on how many images and repeats there are. Gains are in agreement with the labels as they
came in: a share e of wrong ones, spread over K classes, makes a change look smaller, 1 - e K / (K - 1) of what it is.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from winnow.evaluation.cross_fitted import Folds, cross_fitted_interval
from winnow.evaluation.intervals import Interval

Answers = npt.NDArray[np.bool_]  # (R, N) true where repeat r classifies image n as it came in

# measured: refused unless it surely stays above -margin; unless_worse: refused only where it surely lies below;
# always: as published, whatever is measured.
Accept = Literal["measured", "unless_worse", "always"]

TWO_SIDED = 0.9  # level of an interval whose lower end is a one-sided 95 % bound

GATE = {  # key of metrics/gate/<round>.json: meaning
    "accepted": "whether the round's dataset is passed on: no lower end (unless_worse: no upper end) is at or below "
    "-margin",
    "accept": "param gate.accept: measured, unless_worse, or always",
    "margin": "harm, in accuracy, that counts",
    "ask": "param gate.ask: whole, or parts; with whole there are neither cleansing nor augmentation",
    "cleansing.mean": "accuracy after training on the round's source images, minus that of those that came in",
    "cleansing.low": "lower end of its 90 % interval over networks and images",
    "cleansing.high": "upper end",
    "augmentation.mean": "accuracy after training on all of the round, minus that of its source images alone",
    "augmentation.low": "likewise",
    "augmentation.high": "upper end",
    "gain.mean": "accuracy after training on all of the round, minus that of what came in; the latter without copies, "
    "unless whole is asked in a later round",
    "gain.low": "lower end of its 90 % interval",
    "gain.high": "upper end",
    "incoming.mean": "mean accuracy of the model trained on what came in, likewise",
    "candidate.mean": "mean accuracy of the model trained on the round's dataset",
    "images": "images that both are evaluated on, each held out: train, val and label book as they came in",
    "seeds": "repeats, each with seeds and folds of its own",
}


@dataclass(frozen=True)
class Decision:
    """The result of the gate."""

    cleansing: Interval | None  # gain in accuracy, paired by repeat and image; None: not asked
    augmentation: Interval | None
    gain: Interval  # of both together
    incoming: float  # mean accuracy
    candidate: float
    margin: float
    accept: Accept = "measured"

    @property
    def accepted(self) -> bool:
        """Whether the round's dataset is passed on."""
        asked = [one for one in (self.cleansing, self.augmentation, self.gain) if one is not None]
        if self.accept == "measured":
            return min(one.low for one in asked) > -self.margin
        return self.accept == "always" or min(one.high for one in asked) > -self.margin

    def figures(self, *, images: int, seeds: int) -> dict[str, Any]:
        """As metrics show it."""
        parts = {"cleansing": self.cleansing, "augmentation": self.augmentation}
        return {
            "accepted": self.accepted,
            "accept": self.accept,
            "ask": "whole" if self.cleansing is None else "parts",
            "margin": self.margin,
            **{name: one.figures() for name, one in parts.items() if one is not None},
            "gain": self.gain.figures(),
            "incoming": {"mean": self.incoming},
            "candidate": {"mean": self.candidate},
            "images": images,
            "seeds": seeds,
        }


def decide(
    *,
    incoming: Answers,
    candidate: Answers,
    folds: Folds,
    groups: npt.NDArray[np.str_],
    margin: float,
    cleansed: Answers | None = None,
) -> Decision:
    """Whether the round's dataset is passed on.

    Args:
        incoming: (R, N) answers of models trained on what came in.
        candidate: (R, N) likewise on all that the round made.
        folds: (R, N) fold of each image, by repeat.
        groups: (N,) equal for images that share a fold.
        margin: harm, in accuracy, that a round must surely stay below.
        cleansed: (R, N) answers of models trained on the source images of the round, with its labels; None: both
            parts are asked about together alone.
    """

    def gain(after: Answers, before: Answers) -> Interval:
        return cross_fitted_interval(after.astype(np.float64) - before, folds, groups, level=TWO_SIDED)

    return Decision(
        cleansing=None if cleansed is None else gain(cleansed, incoming),
        augmentation=None if cleansed is None else gain(candidate, cleansed),
        gain=gain(candidate, incoming),
        incoming=float(incoming.mean()),
        candidate=float(candidate.mean()),
        margin=margin,
    )
