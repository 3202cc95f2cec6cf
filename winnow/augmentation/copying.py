"""Copies made and made again for either kind of model: stored at the working size, or rendered from their record.

The competition's copies are PNGs at its working size; those of photographs are rendered at the model's size from
recorded operations. Both are taken one at a time.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from winnow.augmentation.controls import INVERTED, NOT_INVERTED, without_inversion
from winnow.augmentation.copies import Draw, copy_rows, from_policy, invert_some, make_copies
from winnow.augmentation.policy import Policy
from winnow.augmentation.rendered import (
    Box,
    DrawPlan,
    draw_plan,
    inverted,
    plan_affine,
    plan_from_policy,
    render_content,
)
from winnow.augmentation.rendering import read_steps, recorded
from winnow.augmentation.spread import spread_copies
from winnow.backbone.resize import content_box
from winnow.dataset.arrays import ArrayStore
from winnow.dataset.images import Copy, decode_stored, encode_jpeg, encode_png
from winnow.dataset.samples import sample_id
from winnow.dataset.streaming import every_image
from winnow.model.inputs import Inputs
from winnow.pictures.pixel_hash import pixel_hash
from winnow.transforms.operations import Applied
from winnow.transforms.views import Ranges, random_affine

Pixels = npt.NDArray[np.uint8]

AT_ONCE = 20_000  # copies, more than a competition's arm may have; another number draws other copies beyond it


def parent_images(inputs: Inputs, dataset: Path, parents: pa.Table) -> Pixels:
    """(M, H, W, C) the source image of each copy; images that have no copy are not read.

    Args:
        inputs: of the competition's model.
        dataset: that holds them.
        parents: (M,) rows of a samples table, one per copy.
    """
    ids = parents["id"].combine_chunks().dictionary_encode()
    images: Pixels = inputs.images(dataset, ids.dictionary.to_pylist())[ids.indices.to_numpy()]
    return images


@dataclass(frozen=True)
class Copying:
    """Makes copies of one dataset."""

    inputs: Inputs
    dataset: Path  # that holds the source images, and the copies that are made again

    def by_policy(
        self,
        policy: Policy,
        origin: str,
        parents: pa.Table,
        *,
        chained: int,
        inverting: npt.NDArray[np.bool_],
        generator: torch.Generator,
    ) -> Iterator[Copy]:
        """One copy of each parent by a policy.

        Args:
            policy: the policy.
            origin: of the copies.
            parents: (M,) rows of a samples table, one per copy.
            chained: sub-policies that a copy takes; see ``draw_from_policy``.
            inverting: (M,) copies that are inverted at the end.
            generator: of every draw.
        """
        draws = from_policy(policy, chained=chained), plan_from_policy(policy, chained=chained)
        return self._copies(*draws, origin, parents, inverting, generator)

    def by_affine(
        self,
        ranges: Ranges,
        origin: str,
        parents: pa.Table,
        *,
        inverting: npt.NDArray[np.bool_],
        generator: torch.Generator,
    ) -> Iterator[Copy]:
        """One copy of each parent by a random affine map.

        Args:
            ranges: of the map.
            origin: of the copies.
            parents: (M,) rows of a samples table, one per copy.
            inverting: (M,) copies that are inverted at the end.
            generator: of every draw.
        """

        def draw(pixels: Pixels, labels: list[str], generator: torch.Generator) -> tuple[Pixels, list[list[Applied]]]:
            return random_affine(pixels, ranges, generator)

        return self._copies(draw, plan_affine(ranges), origin, parents, inverting, generator)

    def _copies(
        self,
        draw: Draw,
        draw_rendered: DrawPlan,
        origin: str,
        parents: pa.Table,
        inverting: npt.NDArray[np.bool_],
        generator: torch.Generator,
    ) -> Iterator[Copy]:
        if self.inputs.card.competition:
            return self._stored(draw, origin, parents, inverting, generator)
        plan = inverted(draw_plan(draw_rendered, parents["label"].to_pylist(), generator), inverting)
        origins, pixels, card = [origin] * len(plan), self.inputs.pixels, self.inputs.card
        return spread_copies(origins, plan, parents, pixels=pixels, card=card)

    def _stored(
        self,
        draw: Draw,
        origin: str,
        parents: pa.Table,
        inverting: npt.NDArray[np.bool_],
        generator: torch.Generator,
    ) -> Iterator[Copy]:
        """At the working size; ``AT_ONCE`` of them are drawn and held together."""
        made: Counter[str] = Counter()
        for start in range(0, len(parents), AT_ONCE):
            some = parents.slice(start, AT_ONCE)
            images = parent_images(self.inputs, self.dataset, some)
            copies = make_copies(origin, draw, images, some["label"].to_pylist(), generator)
            chosen = inverting[start : start + AT_ONCE]
            yield from copy_rows(invert_some(copies, chosen, origin=origin), some.to_pylist(), made)

    def without_inversion(self, copies: pa.Table) -> Iterator[Copy]:
        """The copies made again, each as it is without its inversion.

        A stored copy is turned back, 255 - pixels, which undoes an inversion at the end exactly; after one in between,
        noise stays with the other sign. A rendered one is rendered from the rest of its record.

        Args:
            copies: rows of a samples table, each inverted.
        """
        rows = {row["id"]: row for row in copies.to_pylist()}
        if self.inputs.card.competition:
            for identifier, content in every_image(self.dataset, list(rows)):
                pixels = 255 - decode_stored(content, self.dataset, identifier)
                yield _made_again(rows[identifier], pixels, pixels.tobytes(), encode_png(pixels))
            return
        store = ArrayStore(self.inputs.pixels)
        for row in rows.values():
            steps = without_inversion(read_steps(row["operations"]))
            pixels = render_content(store.row(row["parent"]), steps, self._box(row["width"], row["height"]))
            content = encode_jpeg(pixels)
            yield _made_again(row, pixels, content, content)

    def _box(self, width: int, height: int) -> Box:
        return content_box(width, height, self.inputs.card.pixels, self.inputs.card.resize)


def _made_again(row: Mapping[str, Any], pixels: Pixels, named_by: bytes, picture: bytes) -> Copy:
    """A copy without its inversion, named as if it had been made so.

    Args:
        row: of the inverted copy.
        pixels: (H, W, C) of the new one.
        named_by: bytes from which its id is computed.
        picture: bytes that are stored.
    """
    origin = NOT_INVERTED if row["origin"] == INVERTED else row["origin"]
    of_parent, _, way = row["name"].rpartition("#")
    name = f"{origin}-{way.rpartition('-')[2]}"
    identifier = sample_id(f"{row['parent']}#{name}", named_by)
    changed = {
        "id": identifier,
        "name": f"{of_parent}#{name}",
        "origin": origin,
        "operations": recorded(without_inversion(read_steps(row["operations"]))),
        "pixel_hash": pixel_hash(pixels),
    }
    return {**row, **changed}, (identifier, picture)
