"""The gate: does a round's dataset train a better model than the one that came in?

The source's model is trained on both, seed by seed, and evaluated on the same images with the same labels: the
validation images and the label book as they came in. (Images that the round itself cleansed would favour dropping hard
ones.) The round is rejected only when the 95 % interval of its gain lies wholly below 0; else noise alone would reject
most.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from winnow.evaluation.intervals import Interval, gain_interval

GATE = {  # key of metrics/gate/<round>.json: meaning
    "accepted": "whether the round's dataset is passed on",
    "gain.mean": "accuracy of the round's dataset minus that of what came in, mean over the seeds",
    "gain.low": "lower end of its 95 % interval, paired by seed and image",
    "gain.high": "upper end; below 0 the round is rejected",
    "incoming.mean": "mean accuracy of the model trained on what came in",
    "candidate.mean": "mean accuracy of the model trained on the round's dataset",
    "images": "images that both are evaluated on: validation images and label book as they came in",
    "seeds": "seeds",
}


@dataclass(frozen=True)
class Decision:
    """The result of the gate."""

    accepted: bool
    gain: Interval  # in accuracy, of the candidate over what came in, paired by seed and image
    incoming: float  # mean accuracy
    candidate: float

    def figures(self, *, images: int, seeds: int) -> dict[str, Any]:
        """As metrics show it."""
        return {
            "accepted": self.accepted,
            "gain": self.gain.figures(),
            "incoming": {"mean": self.incoming},
            "candidate": {"mean": self.candidate},
            "images": images,
            "seeds": seeds,
        }


def decide(candidate: npt.NDArray[np.bool_], incoming: npt.NDArray[np.bool_]) -> Decision:
    """Whether the round's dataset is passed on.

    Args:
        candidate: (S, N) true where the model of seed s, trained on the round's dataset, is right about image n.
        incoming: (S, N) likewise of what came in.
    """
    gain = gain_interval(candidate, incoming)
    return Decision(gain.high >= 0, gain, float(incoming.mean()), float(candidate.mean()))
