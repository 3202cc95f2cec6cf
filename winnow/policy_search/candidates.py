"""Candidates of the search that asks the judge: global settings, each of which makes a policy without any search.

A candidate says how far its operations reach, how many follow one another and how many sub-policies a copy takes; which
ones, and how strongly, is drawn, as in random augmentation (Cubuk et al. 2020, RandAugment: two global numbers do as
well as a search over single operations). An affine chosen by hand is one as well: all its operations in every
sub-policy, each within a range of its own.

Two settings are left out. The share of inverted copies is one of ``augment``, so that an operation with a ``look`` is
in no candidate. A share of copies that stay as they are would be undone by ``augment``, which draws such a copy again;
the source images, which stay in the set beside their copies, are that share.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from winnow.augmentation.policy import Limits, Policy, Step
from winnow.pipeline.fields import Few, NoneOrFew, Share, section
from winnow.transforms.operations import MOVING, OPERATIONS

ALIKE = 0.5  # probability of an all-or-nothing operation, a flip say: as many copies with it as without


@section
class Candidate:
    """One of `search_policy.candidates`."""

    # How far operations reach, as a share of the largest limit of any class; each class keeps to its own limit besides.
    geometry: Share  # of those that move pixels
    appearance: Share  # of the others: noise, colours
    own: dict[str, Share]  # operation: its share of the whole range, as people set it, in the place of the above
    stages: NoneOrFew  # operations, one after another, of a sub-policy; 0: all, once each
    chained: Few  # sub-policies that a copy takes, each weakened to one part in as many

    def __post_init__(self) -> None:
        for name in self.own:
            if name not in OPERATIONS:
                raise ValueError(f"own names {name!r}, which is unknown; known: {', '.join(OPERATIONS)}")

    def reach(self, operation: str, most: float) -> float:
        """The largest magnitude of an operation, of which the least strict class survives ``most``."""
        if operation in self.own:
            return min(self.own[operation], most)
        return most * (self.geometry if _moves(operation) else self.appearance)


def _moves(operation: str) -> bool:
    """Whether it moves pixels: affine maps, flips and half turns, and the elastic distortion."""
    return operation in MOVING or OPERATIONS[operation].whole or operation == "elastic"


def policy_of(
    candidate: Candidate, operations: Sequence[str], limits: Limits, *, sub_policies: int, seed: int
) -> Policy | None:
    """The candidate's policy; None where it would change nothing.

    The operations of a sub-policy are drawn without repetition, their magnitudes uniformly up to their reach; each is
    carried out, but an all-or-nothing one with probability 1/2.

    Args:
        candidate: the setting.
        operations: offered; those with a look of their own are left out.
        limits: of the label check, which the policy keeps.
        sub_policies: how many.
        seed: of the draws; equal settings give equal policies.
    """
    most = {name: max(limits.get(name, {}).values(), default=1.0) for name in operations}
    reach = {name: candidate.reach(name, most[name]) for name in operations if not OPERATIONS[name].look}
    names = [name for name, far in reach.items() if far > 0]
    if not names:
        return None
    rng = np.random.default_rng(seed)
    stages = min(candidate.stages or len(names), len(names))
    drawn = []
    for _ in range(sub_policies):
        places, shares = rng.permutation(len(names))[:stages].tolist(), (1 - rng.random(stages)).tolist()  # in (0, 1]
        drawn.append(tuple(_step(names[place], reach, share) for place, share in zip(places, shares, strict=True)))
    return Policy(tuple(operations), tuple(drawn), limits, chained=candidate.chained)


def _step(name: str, reach: Mapping[str, float], share: float) -> Step:
    if OPERATIONS[name].whole:
        return Step(name, ALIKE, reach[name])
    return Step(name, 1.0, share * reach[name])


def policies_of(
    candidates: Mapping[str, Candidate], operations: Sequence[str], limits: Limits, *, sub_policies: int, seed: int
) -> dict[str, Policy]:
    """The policy of each candidate that has one, by name; of several that are equal the first alone.

    Args as for ``policy_of``.
    """
    found: dict[str, Policy] = {}
    for name, candidate in candidates.items():
        policy = policy_of(candidate, operations, limits, sub_policies=sub_policies, seed=seed)
        if policy is not None and policy not in found.values():
            found[name] = policy
    return found


def strength(policy: Policy) -> float:
    """How much a policy changes a copy: the sum of its magnitudes, each as often as it is carried out, on average.

    A copy that takes several sub-policies takes each weakened, which leaves the sum as it is.
    """
    return float(np.mean([sum(step.probability * step.magnitude for step in steps) for steps in policy.sub_policies]))
