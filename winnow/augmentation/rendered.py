"""Copies of photographs: drawn as recorded operations, rendered at the size at which they are analysed.

Operations are carried out on the image's content, not on the padding around it, so that the same record gives the same
picture at the photograph's own resolution (``rendering``).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from winnow.augmentation.copies import PASSED_ON, REDRAWS, stages_at_random
from winnow.augmentation.policy import Policy, draw_at_random, draw_from_policy
from winnow.augmentation.rendering import Steps, fixed, recorded, render
from winnow.dataset.images import encode_jpeg
from winnow.dataset.samples import sample_id
from winnow.pictures.decode import PIXEL_LIMIT, decode
from winnow.pictures.pixel_hash import pixel_hash
from winnow.transforms.operations import Applied
from winnow.transforms.views import Ranges, draw_random_affine

Pixels = npt.NDArray[np.uint8]
Plan = list[list[Applied]]
DrawPlan = Callable[[list[str], torch.Generator], Plan]  # class names, generator
Box = tuple[int, int, int, int]  # top, left, height, width


@dataclass(frozen=True)
class RenderedCopy:
    """One copy."""

    row: dict[str, object]  # of a samples table
    content: bytes  # a JPEG of the square

    @property
    def pixels(self) -> Pixels:
        """(S, S, C) as they are analysed: what the JPEG holds."""
        return decode(self.content, max_pixels=PIXEL_LIMIT)


def plan_from_policy(policy: Policy, *, chained: int) -> DrawPlan:
    """As ``copies.from_policy``."""
    return lambda labels, generator: draw_from_policy(policy, labels, generator, chained=chained)


def plan_at_random(policy: Policy) -> DrawPlan:
    """As ``copies.at_random``."""
    stages = stages_at_random(policy)
    return lambda labels, generator: draw_at_random(policy.operations, stages, len(labels), generator)


def plan_affine(ranges: Ranges) -> DrawPlan:
    """As ``views.random_affine``."""
    return lambda labels, generator: draw_random_affine(ranges, len(labels), generator)


def draw_plan(draw: DrawPlan, labels: list[str], generator: torch.Generator) -> Plan:
    """By copy, the operations with every draw made; none without any, where a few draws can help it."""
    plan = draw(labels, generator)
    for _ in range(REDRAWS):
        still = [row for row, steps in enumerate(plan) if not steps]
        if not still:
            break
        for row, steps in zip(still, draw([labels[row] for row in still], generator), strict=True):
            plan[row] = steps
    return fixed(plan, generator)


def inverted(plan: Plan, chosen: npt.NDArray[np.bool_]) -> Plan:
    """The plan, the chosen copies inverted at the end; one that is inverted already stays as it is."""
    return [
        [*steps, Applied("invert", 1.0)]
        if one and sum(step.operation == "invert" for step in steps) % 2 == 0
        else list(steps)
        for steps, one in zip(plan, chosen.tolist(), strict=True)
    ]


def rendered_copies(
    origins: Sequence[str],
    plan: Plan,
    parents: Sequence[Mapping[str, Any]],
    squares: Callable[[str], Pixels],
    box_of: Callable[[int, int], Box],
) -> Iterator[RenderedCopy]:
    """The copies, one at a time.

    Args:
        origins: (M,) of each copy.
        plan: (M,) the operations of each, every draw made.
        parents: (M,) row of the source image of each.
        squares: the (S, S, C) square of a source image, by id.
        box_of: where the content of an image of this width and height lies in its square.
    """
    made: Counter[str] = Counter()
    for origin, steps, parent in zip(origins, plan, parents, strict=True):
        square = render_content(squares(parent["id"]), steps, box_of(parent["width"], parent["height"]))
        content = encode_jpeg(square)
        number = made[parent["id"]]
        made[parent["id"]] += 1
        name = f"{origin}-{number}"
        row = {
            **{key: parent[key] for key in PASSED_ON},
            "id": sample_id(f"{parent['id']}#{name}", content),
            "name": f"{parent['name']}#{name}",
            "origin": origin,
            "parent": parent["id"],
            "operations": recorded(steps),
            "pixel_hash": pixel_hash(square),
        }
        yield RenderedCopy(row, content)


def render_content(square: Pixels, steps: Steps, box: Box) -> Pixels:
    """(S, S, C) a copy of the square whose content, inside the box, is after the steps; the padding stays."""
    changed = np.array(square)
    top, left, height, width = box
    inside = slice(top, top + height), slice(left, left + width)
    changed[inside] = render(np.ascontiguousarray(changed[inside]), steps)
    return changed
