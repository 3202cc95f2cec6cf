"""Successive halving: many candidates are tried briefly, the better half of them longer, until one is left.

Source: Jamieson & Talwalkar (2016), as in Hyperband (Li et al. 2018) with a halving rate of 2. Differs: a candidate's
score on a rung decides by itself, since a longer run is closer to what is wanted than any sum with shorter ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

TRIALS = ("rung", "updates", "candidate", "score", "goes_on")


@dataclass(frozen=True)
class Trial:
    """A candidate on a rung."""

    rung: int  # counted from 1
    updates: int  # of its run
    candidate: str
    score: float
    goes_on: bool  # among the better half; on the last rung, the best

    def row(self) -> list[object]:
        """For people, with the columns of ``TRIALS``."""
        return [self.rung, self.updates, self.candidate, f"{self.score:.4f}", "yes" if self.goes_on else "no"]


def halve(
    strengths: Mapping[str, float],
    score: Callable[[Sequence[str], int, int], Sequence[float]],
    rungs: Sequence[int],
) -> list[Trial]:
    """The trials in their order, within a rung from the best to the worst; the last rung's first is the winner.

    Of n candidates the best ceil(n / 2) go on. One that is left alone has won, and further rungs are not run. Of equal
    scores the milder candidate's is better, then the one that comes first.

    Args:
        strengths: candidate: how strong it is; at least one.
        score: of candidates, with the number of a rung and its updates; the higher the better.
        rungs: updates of a run on each, at least one rung.

    Raises:
        ValueError: no candidate, or no rung.
    """
    if not strengths or not rungs:
        raise ValueError(f"candidates and rungs wanted, got {len(strengths)} and {len(rungs)}")
    living, trials = list(strengths), list[Trial]()
    for rung, updates in enumerate(rungs, start=1):
        scores = dict(zip(living, score(living, rung, updates), strict=True))
        ranked = sorted(living, key=lambda name: (-scores[name], strengths[name]))
        last = rung == len(rungs)
        kept = 1 if last else -(-len(ranked) // 2)
        trials += [Trial(rung, updates, name, scores[name], place < kept) for place, name in enumerate(ranked)]
        living = [name for name in living if name in ranked[:kept]]
        if kept == 1:
            break
    return trials


def winner(trials: Sequence[Trial]) -> str:
    """The candidate that is best on the last rung."""
    return next(trial.candidate for trial in reversed(trials) if trial.goes_on)
