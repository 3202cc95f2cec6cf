"""The share of faults that the pipeline left among the images that it kept, from a random sample that people look at.

The sample is drawn once, by a hash of each image's id: it depends neither on the order of the table nor on decisions,
and a new image moves no other in or out but by taking its place. Only its images up to the first that is not decided
count: which of the others were decided, a doubt may have chosen, and not chance.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

from scipy.special import betaincinv

LEVEL = 0.95
SEED = "review 1"
MOST, LEAST, SHARE = 200, 20, 0.1  # images of a sample: SHARE of those kept, within these bounds


@dataclass(frozen=True)
class Estimate:
    """Faults among the images of a sample that were decided, with the interval for the share among all."""

    of: int  # images in the sample as drawn
    sampled: int  # of these, decided, and with them every one before
    faults: int  # of these, faults
    share: float | None  # None while it is not known
    low: float | None
    high: float | None
    later: int = 0  # decided as well, but after one that is not, so that they do not count yet

    def figures(self) -> dict[str, Any]:
        """As the page shows it."""
        return asdict(self)


def draw_sample(ids: Iterable[str], *, most: int | None = None) -> list[str]:
    """A random sample of ids, in random order; the same for the same ids in any order.

    Args:
        ids: each once.
        most: images of the sample; None: as many as ``sample_size`` says.
    """
    ranked = sorted(ids, key=lambda one: hashlib.sha256(f"{SEED}\0{one}".encode()).digest())
    return ranked[: sample_size(len(ranked)) if most is None else most]


def sample_size(kept: int) -> int:
    """Images that are sampled of so many."""
    return min(kept, MOST, max(LEAST, round(SHARE * kept)))


def estimate_faults(sample: Sequence[str], faults: Mapping[str, bool]) -> Estimate:
    """The share of faults with its Clopper-Pearson interval.

    Source: Clopper & Pearson (1934), "The use of confidence or fiducial limits illustrated in the case of the
    binomial": exact, so that it covers at least ``LEVEL`` also where no fault was seen. Its ends are quantiles of Beta
    distributions.

    Args:
        sample: ids in the order in which they were drawn.
        faults: by id, of those decided, whether the image is a fault; others than the sample's are ignored.
    """
    decided = [faults[one] for one in takewhile(faults.__contains__, sample)]
    n, k = len(decided), sum(decided)
    later = sum(one in faults for one in sample) - n
    if not n:
        return Estimate(len(sample), 0, 0, None, None, None, later)
    # As scipy.stats.binomtest has it, whose import alone would take half of the server's start.
    outside = (1 - LEVEL) / 2
    low = float(betaincinv(k, n - k + 1, outside)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - outside)) if k < n else 1.0
    return Estimate(len(sample), n, k, k / n, low, high, later)


def count_faults(ids: Sequence[str], faults: Mapping[str, bool]) -> Estimate:
    """The faults among images that are asked about in an order that is not random; their share once all are decided.

    Args:
        ids: of all of them.
        faults: as in ``estimate_faults``.
    """
    decided = [faults[one] for one in ids if one in faults]
    n, k = len(decided), sum(decided)
    return Estimate(len(ids), n, k, k / n if n and n == len(ids) else None, None, None)
