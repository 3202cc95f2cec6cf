"""A found augmentation policy, and what is sampled from it.

A policy is a set of sub-policies; a sub-policy is a sequence of stages; a stage is one operation with its probability
and magnitude. An image takes one sub-policy, drawn uniformly, and of each stage a hard Bernoulli draw (Hataya et al.
2020, section 3); or several, each weakened (``draw_from_policy``), which is ours. ``limits`` holds the magnitudes that
the label check allows: no image is changed by more than its own class's limit, all stages of one operation together,
and by an operation that was not checked by no more than its whole range. A policy without any limits is the published
one: each stage does what it says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from winnow.pipeline.fields import Share, section
from winnow.transforms.operations import (
    MOVING,
    OPERATIONS,
    Applied,
    apply,
    move,
    to_images,
    to_pixels,
)

CHUNK = 1024  # images held as float at once


Pixels = npt.NDArray[np.uint8]


Limits = Mapping[str, Mapping[str, float]]  # operation: class: largest magnitude; what is not named is free


@section
class Step:
    """One stage of a sub-policy."""

    operation: str
    probability: Share
    magnitude: Share


@dataclass(frozen=True)
class Policy:
    """What policy.json holds."""

    operations: tuple[str, ...]  # that were offered to the search
    sub_policies: tuple[tuple[Step, ...], ...]
    limits: Limits = field(default_factory=dict)
    cut: tuple[Mapping[str, Any], ...] = ()  # report of the label check, one row per finding
    chained: int | None = None  # sub-policies that a copy takes; None: as whoever draws says
    candidate: str | None = None  # that won by the judge, or that was taken without a search; None: by the critic

    def limit(self, operation: str, label: str) -> float:
        """The largest magnitude that a class's label survives; 1 where the label check has not judged it."""
        return self.limits.get(operation, {}).get(label, 1.0)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as policy.json has them; what is None has no key."""
        settled = {"chained": self.chained, "candidate": self.candidate}
        return {
            "sub_policies": [[asdict(step) for step in steps] for steps in self.sub_policies],
            "operations": list(self.operations),
            "limits": {operation: dict(sorted(by_class.items())) for operation, by_class in self.limits.items()},
            "cut": [dict(row) for row in self.cut],
            **{key: value for key, value in settled.items() if value is not None},
        }


def within_limits(policy: Policy) -> Policy:
    """The same policy, no stage's magnitude above the largest limit of any class."""
    most = {name: max(by_class.values(), default=1.0) for name, by_class in policy.limits.items()}
    return replace(
        policy,
        sub_policies=tuple(
            tuple(replace(step, magnitude=min(step.magnitude, most.get(step.operation, 1.0))) for step in steps)
            for steps in policy.sub_policies
        ),
    )


def sample(
    policy: Policy, pixels: Pixels, labels: Sequence[str], generator: torch.Generator, *, chained: int
) -> tuple[Pixels, list[list[Applied]]]:
    """Each image after one draw of the policy.

    Args:
        policy: the policy.
        pixels: (N, H, W, C) uint8.
        labels: (N,) class names, which choose the limits.
        generator: of every draw.
        chained: sub-policies that an image takes; see ``draw_from_policy``.

    Returns:
        (N, H, W, C) uint8, and by image the operations applied, in order; none where every Bernoulli draw failed.
    """
    plan = draw_from_policy(policy, labels, generator, chained=chained)
    return carry_out(plan, pixels, generator), plan


def draw_from_policy(
    policy: Policy, labels: Sequence[str], generator: torch.Generator, *, chained: int
) -> list[list[Applied]]:
    """By image, the operations that one draw of the policy does to it.

    As published, an image takes one sub-policy. With ``chained`` n it takes n, each weakened to one nth, so that the
    total change is about the same, by more and milder operations. What is weakened is the magnitude, or the probability
    of an all-or-nothing operation. The affine maps of a chain come first, so that they are sampled as one and do not
    smooth the noise; the order within a sub-policy is given up for that, where n is above 1. The search evaluates
    single sub-policies only.

    Args:
        policy: the policy.
        labels: (N,) class names, which choose the limits.
        generator: of every draw.
        chained: n, where the policy does not say it itself; 1 is the method as published.
    """
    chained = policy.chained or chained
    weakened = [[_weakened(step, chained) for step in steps] for steps in policy.sub_policies]
    stages = max(map(len, weakened))
    chosen = torch.randint(len(policy.sub_policies), (len(labels), chained), generator=generator).tolist()
    chances = torch.rand((len(labels), chained, stages), generator=generator).tolist()
    plan = []
    for label, taken, chances_of_image in zip(labels, chosen, chances, strict=True):
        done = [
            step
            for sub_policy, chance in zip(taken, chances_of_image, strict=True)
            for step, below in zip(weakened[sub_policy], chance, strict=False)
            if below < step.probability
        ]
        if chained > 1:
            done.sort(key=lambda step: step.operation not in MOVING)
        plan.append(_limited(policy, done, label))
    return plan


def _weakened(step: Step, times: int) -> Step:
    """The step weakened to one part in ``times``."""
    if OPERATIONS[step.operation].whole:
        return replace(step, probability=step.probability / times)
    return replace(step, magnitude=step.magnitude / times)


def _limited(policy: Policy, steps: Sequence[Step], label: str) -> list[Applied]:
    """The steps as applied: of each operation no more, over all of them, than the limit of the class.

    An all-or-nothing operation is applied once: an image inverted twice is the image itself. Without limits all steps
    are applied as they are, as published.
    """
    if not policy.limits:
        return [Applied(step.operation, step.magnitude) for step in steps if step.magnitude > 0]
    left: dict[str, float] = {}
    done = []
    for step in steps:
        room = left.get(step.operation, policy.limit(step.operation, label))
        magnitude = min(step.magnitude, room)
        left[step.operation] = 0.0 if OPERATIONS[step.operation].whole and magnitude > 0 else room - magnitude
        if magnitude > 0:
            done.append(Applied(step.operation, magnitude))
    return done


def draw_at_random(
    operations: Sequence[str], stages: int, count: int, generator: torch.Generator
) -> list[list[Applied]]:
    """By image, operations without any search: each stage's operation, probability and magnitude are uniform.

    Args:
        operations: names to draw from, the same at every stage.
        stages: of a sub-policy.
        count: images.
        generator: of every draw.
    """
    chosen = torch.randint(len(operations), (count, stages), generator=generator).tolist()
    probability, chance, magnitude = torch.rand((3, count, stages), generator=generator)
    strengths = torch.where(chance < probability, magnitude, 0).tolist()
    return [
        [Applied(operations[name], strength) for name, strength in zip(*row, strict=True) if strength > 0]
        for row in zip(chosen, strengths, strict=True)
    ]


def carry_out(plan: Sequence[Sequence[Applied]], pixels: Pixels, generator: torch.Generator) -> Pixels:
    """Each image after its own operations, rounded to 8 bits once at the end.

    Args:
        plan: by image, the operations in order.
        pixels: (N, H, W, C) uint8.
        generator: of signs, noise and places.
    """
    result = np.empty_like(pixels)
    for start in range(0, len(pixels), CHUNK):
        part = slice(start, start + CHUNK)
        images = to_images(pixels[part])  # (n, C, H, W)
        chains = [_joined(steps) for steps in plan[part]]
        for link in range(max(map(len, chains), default=0)):
            _carry_out_link([chain[link] if link < len(chain) else [] for chain in chains], images, generator)
        result[part] = to_pixels(images)
    return result


def _joined(steps: Sequence[Applied]) -> list[list[Applied]]:
    """The steps; consecutive affine maps together, every other one by itself."""
    links: list[list[Applied]] = []
    for moves, run in groupby(steps, key=lambda step: step.operation in MOVING):
        together = list(run)
        links += [together] if moves else [[step] for step in together]
    return links


def _carry_out_link(links: Sequence[Sequence[Applied]], images: torch.Tensor, generator: torch.Generator) -> None:
    """Change the images in place: all affine maps in one call, and one call for each other operation."""
    moved = [row for row, link in enumerate(links) if link and link[0].operation in MOVING]
    if moved:
        chains = [[(step.operation, step.magnitude) for step in links[row]] for row in moved]
        images[moved] = move(images[moved], chains, generator)
    for name in {link[0].operation: None for link in links if link and link[0].operation not in MOVING}:
        rows = [row for row, link in enumerate(links) if link and link[0].operation == name]
        magnitude = torch.tensor([links[row][0].magnitude for row in rows])
        images[rows] = apply(name, images[rows], magnitude, generator)
