"""Augmented copies of images: their pixels, what was done to them, and the rows that say where they come from.

A draw of a policy may change nothing: every Bernoulli draw fails, or the label check allows a class no magnitude. A
copy that equals its source image adds nothing, so it is drawn again, a few times; if it is still equal, it is kept,
since equal class counts come first.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from winnow.augmentation.policy import Policy, carry_out, draw_at_random, sample
from winnow.augmentation.rendering import recorded
from winnow.dataset.images import encode_png
from winnow.dataset.samples import sample_id
from winnow.pictures.pixel_hash import pixel_hash
from winnow.transforms.operations import Applied

# Columns of a copy that are its source image's.
PASSED_ON = ("split", "label", "given_label", "channels", "width", "height", "group")


REDRAWS = 8  # two stages at random both fail once in 4; nine draws all do so once in 260,000


Pixels = npt.NDArray[np.uint8]


Plan = list[list[Applied]]  # by image, the operations applied, in order


RANDOM_STAGES = 2  # as published: operations of a random copy

Draw = Callable[[Pixels, list[str], torch.Generator], tuple[Pixels, Plan]]  # pixels, class names, generator


@dataclass(frozen=True)
class Copies:
    """Copies, one row each, in the order of their source images."""

    origin: list[str]
    pixels: Pixels  # (M, H, W, C)
    plan: Plan


def from_policy(policy: Policy, *, chained: int) -> Draw:
    """``chained`` sub-policies of the policy, one after another (``draw_from_policy``), within its limits."""
    return lambda pixels, labels, generator: sample(policy, pixels, labels, generator, chained=chained)


def stages_at_random(policy: Policy) -> int:
    """How many random operations follow one another: as many as the critic's sub-policies have.

    Those of a candidate may have all operations, each a little, which at random would be far more than the published.
    """
    return RANDOM_STAGES if policy.candidate else max(map(len, policy.sub_policies))


def at_random(policy: Policy) -> Draw:
    """Operations among those that are offered, a few in a row; all uniform, without limits."""
    stages = stages_at_random(policy)

    def draw(pixels: Pixels, labels: list[str], generator: torch.Generator) -> tuple[Pixels, Plan]:
        plan = draw_at_random(policy.operations, stages, len(pixels), generator)
        return carry_out(plan, pixels, generator), plan

    return draw


def make_copies(origin: str, draw: Draw, parents: Pixels, labels: list[str], generator: torch.Generator) -> Copies:
    """One copy of each row, differing from it where a few draws can make it differ.

    Args:
        origin: of the copies.
        draw: changes images.
        parents: (M, H, W, C) the source image of each copy.
        labels: (M,) class names.
        generator: of every draw.
    """
    pixels, plan = draw(parents, labels, generator)
    for _ in range(REDRAWS):
        still = unchanged(pixels, parents)
        if not len(still):
            break
        pixels[still], again = draw(parents[still], [labels[row] for row in still], generator)
        for row, steps in zip(still, again, strict=True):
            plan[row] = steps
    return Copies([origin] * len(parents), pixels, plan)


def unchanged(pixels: Pixels, parents: Pixels) -> npt.NDArray[np.intp]:
    """Rows of copies that equal their source image."""
    return np.flatnonzero((pixels == parents).all(axis=(1, 2, 3)))


def invert_some(copies: Copies, chosen: npt.NDArray[np.bool_], *, origin: str = "inversion") -> Copies:
    """The same copies, the chosen ones inverted (255 - pixels), under an origin of their own.

    One that its own operations inverted already stays as it is, since inverting it again would undo them.

    Args:
        copies: M of them.
        chosen: (M,).
        origin: of the chosen ones.
    """
    pixels, plan, origins = copies.pixels.copy(), list(copies.plan), list(copies.origin)
    for row in np.flatnonzero(chosen):
        origins[row] = origin
        if sum(step.operation == "invert" for step in plan[row]) % 2 == 0:
            pixels[row] = 255 - pixels[row]
            plan[row] = [*plan[row], Applied("invert", 1.0)]
    return Copies(origins, pixels, plan)


def copy_rows(
    copies: Copies, parents: Sequence[Mapping[str, Any]], made: Counter[str] | None = None
) -> Iterator[tuple[dict[str, object], tuple[str, bytes]]]:
    """Of each copy, its row of a samples table, and its id with its PNG.

    Args:
        copies: M of them.
        parents: (M,) row of the source image of each copy.
        made: of each source image by id, the copies that have been made, which number the next; they are counted on.
    """
    made = Counter() if made is None else made
    for origin, pixels, steps, parent in zip(copies.origin, copies.pixels, copies.plan, parents, strict=True):
        number = made[parent["id"]]
        made[parent["id"]] += 1
        own = np.ascontiguousarray(pixels[..., : parent["channels"]])  # grey stays grey among coloured ones
        identifier = sample_id(f"{parent['id']}#{origin}-{number}", own.tobytes())
        row = {
            **{name: parent[name] for name in PASSED_ON},
            "id": identifier,
            "name": f"{parent['name']}#{origin}-{number}",
            "origin": origin,
            "parent": parent["id"],
            "operations": recorded(steps),
            "pixel_hash": pixel_hash(own),
        }
        yield row, (identifier, encode_png(own))
