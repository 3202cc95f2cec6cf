"""Fair controls: what stands in the place of a step of the method where its worth is measured.

A control has all that the step's arm has but the step: as many images dropped, but by another ranking; the
same parents copied as often, but by operations drawn at random; as many copies made alike, but of other images.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from winnow.augmentation.edge_cases import choose_edge_parents
from winnow.augmentation.policy import Policy, within_limits
from winnow.dataset.samples import LEAST
from winnow.transforms.operations import Applied

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

EDGE_CASE = "edge_case"  # origin of the copies of edge cases
INVERTED, NOT_INVERTED = "inversion", "faster_autoaugment"  # origin of a copy with and without its inversion


def lowest_scored(
    ids: Sequence[str], score: npt.NDArray[np.float64], places: Sequence[tuple[str, str]], *, count: int
) -> Mask:
    """(N,) true for the images of the lowest score, as many as are to be dropped; ties by id.

    The last images of a class in its split (``LEAST``) are passed over, as a cleansing passes them over, so that fewer
    are dropped where no others are left.

    Args:
        ids: (N,) of the images.
        score: (N,) lower is worse.
        places: (N,) split and class of each.
        count: images that are to be dropped.
    """
    standing, left = Counter(places), count
    dropped = np.zeros(len(ids), dtype=bool)
    for row in sorted(range(len(ids)), key=lambda row: (score[row], ids[row])):
        if not left:
            break
        if standing[places[row]] > LEAST[places[row][0]]:
            standing[places[row]] -= 1
            dropped[row] = True
            left -= 1
    return dropped


def random_policy(found: Policy, rng: np.random.Generator) -> Policy:
    """A policy of the found one's structure and limits whose operations and magnitudes were not searched.

    It has as many sub-policies and stages, and each stage's probability. The operation of a stage is drawn uniformly
    from those that the search could choose, which some class's label survives; its magnitude is uniform in [0, 1] and
    cut to the limits as the search's own are.

    Args:
        found: the searched policy.
        rng: of operations and magnitudes.
    """
    most = {name: max(found.limits.get(name, {}).values(), default=1.0) for name in found.operations}
    # A candidate's operations are part of its structure; a critic could choose from all.
    used = {step.operation for steps in found.sub_policies for step in steps} if found.candidate else set(most)
    offered = [name for name in found.operations if most[name] > 0 and name in used]
    drawn = tuple(
        tuple(
            replace(step, operation=offered[rng.integers(len(offered))], magnitude=float(rng.random()))
            for step in steps
        )
        for steps in found.sub_policies
    )
    return within_limits(replace(found, sub_policies=drawn))


def choose_plain_parents(
    labels: Indices, *, copies: Indices, rng: np.random.Generator, room: Indices | None = None
) -> Indices:
    """The source image of each copy: within a class every image is used equally often, or once more than another.

    Args:
        labels: (N,) class indices.
        copies: (K,) that each class shall get.
        rng: chooses those that are used once more.
        room: (N,) copies that an image may get at all, even if its class then gets fewer; None: any number.

    Returns:
        (M,) rows, ascending, each repeated once per copy.
    """
    none, order = np.zeros(len(labels), dtype=bool), rng.random(len(labels))  # no image comes before another
    return choose_edge_parents(labels, order, none, missing=copies, copies=1, room=room)


def is_inverted(steps: Sequence[Applied]) -> bool:
    """Whether an image is a negative after these steps: two inversions undo each other."""
    return sum(step.operation == "invert" for step in steps) % 2 == 1


def without_inversion(steps: Sequence[Applied]) -> list[Applied]:
    """The steps that are no inversion, in order."""
    return [step for step in steps if step.operation != "invert"]
