"""Bring every class to the same count with augmented copies, in one dataset per method of augmentation.

The four datasets hold the same source images and copy the same ones equally often: only the operations on the copies
differ. Validation images and label book are passed on unchanged; earlier copies are left out. With a backbone, copies
are rendered from recorded operations, and their features are computed here.

Reads   --dataset   dataset with split train; any others
        --model     JSON: the model
        --pixels    arrays of the source images at its size
        --user      folder with the user's own code and weights
        --policy    the found policy, the operations offered to the search, and the limits of each class
Writes  --by-random           copies under the same operations, probability and magnitude uniform
        --by-policy           copies under the found policy
        --by-policy-inverted  the same, a share of them inverted; none of a class whose label does not survive it
        --by-affine           copies under a mild affine chosen by hand
Params  augment, judge.max_images
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from winnow.augmentation.balance import (
    choose_parents,
    choose_share,
    count_within,
    multiple_of_largest,
    reached,
    short_of_balance,
)
from winnow.augmentation.copies import Draw, at_random, copy_rows, from_policy, invert_some, make_copies
from winnow.augmentation.copying import parent_images
from winnow.augmentation.policy import Policy
from winnow.augmentation.policy_file import load_policy
from winnow.augmentation.rendered import Plan, draw_plan, plan_affine, plan_at_random, plan_from_policy
from winnow.augmentation.rendered import inverted as with_inversion
from winnow.augmentation.spread import spread_copies
from winnow.dataset.images import Copy, write_with_copies
from winnow.dataset.samples import class_names, label_indices, only_source, only_splits, read_samples
from winnow.model.copies import add_copy_features
from winnow.model.extraction import Extraction
from winnow.model.inputs import Inputs, read_inputs
from winnow.pipeline.fields import Count, Few, Multiple, Seed, Share, section
from winnow.pipeline.stage import Sections, run_stage
from winnow.transforms.views import Ranges, random_affine


@section
class Params:
    """Section `augment`."""

    seed: Seed
    budget: Count  # competition: training images afterwards, source images included, in all classes together
    multiple: Multiple  # elsewhere: images of every class, in multiples of the largest
    max_copies: Few  # elsewhere: of one image, those of its edge cases included
    chained: Few  # sub-policies that a copy takes, each weakened to one part in as many; 1: as published
    inverted_share: Share  # of the copies of each class whose label survives it, in the inverted dataset
    affine: Ranges  # of the affine chosen by hand


def main(
    params: Params,
    max_images: int,
    *,
    dataset: Path,
    policy: Path,
    model: Path,
    pixels: Path,
    user: Path,
    by_random: Path,
    by_policy: Path,
    by_policy_inverted: Path,
    by_affine: Path,
) -> None:
    """Run the stage on the files given."""
    samples, found = read_samples(dataset), load_policy(policy)
    inputs, classes = read_inputs(model, pixels, pixels), class_names(samples)
    if inputs.card.competition:
        per_class, most = count_within(samples, budget=params.budget, max_images=max_images), None
    else:
        per_class, most = multiple_of_largest(samples, params.multiple), params.max_copies
    source = only_source(samples)
    train = only_splits(source, "train")  # N rows
    rng = np.random.default_rng(params.seed)
    chosen = choose_parents(label_indices(train), per_class=per_class, rng=rng, most=most)  # (M,) rows of train
    parents = train.take(chosen)
    survives = np.array([found.limit("invert", label) > 0 for label in parents["label"].to_pylist()], dtype=bool)
    inverted = choose_share(label_indices(parents), share=params.inverted_share, rng=rng) & survives  # (M,)
    folders = dict(zip(ORIGINS, (by_random, by_policy, by_policy_inverted, by_affine), strict=True))
    if inputs.card.competition:
        made = _stored(params, found, parent_images(inputs, dataset, parents), parents, inverted)
    else:
        made = _rendered(params, found, inputs, parents, inverted)
    written = {
        folders[way]: write_with_copies(folders[way], source, copies, shards_from=[dataset]) for way, copies in made
    }
    if not inputs.card.competition:
        add_copy_features(Extraction(inputs.card, user), "augment", written)
    counts = np.bincount(label_indices(train), minlength=len(classes)) + np.bincount(
        label_indices(parents), minlength=len(classes)
    )
    short = ""
    if inputs.card.competition:
        said = reached(counts, copies=len(chosen), setting="augment.budget")
    else:
        said = f"{per_class} training images in each of {len(classes)} classes"
        short = short_of_balance(classes, counts, per_class=per_class, most=most)
    print(
        f"augment: {said}, {len(chosen)} of them copies; {inverted.sum()} are inverted in the inverted dataset{short}"
    )


ORIGINS = ("random", "faster_autoaugment", "inversion", "affine")  # by method of augmentation
Made = Iterator[tuple[str, Iterable[Copy]]]  # one method after the other, whose copies are taken one at a time


def _generator(params: Params, origin: str) -> torch.Generator:
    """One a method, so that a change of one leaves the bytes of the others as they are."""
    seed = int(np.random.default_rng([params.seed, *origin.encode()]).integers(2**63))
    return torch.Generator().manual_seed(seed)


def _stored(
    params: Params,
    found: Policy,
    images: npt.NDArray[np.uint8],
    parents: pa.Table,
    chosen: npt.NDArray[np.bool_],
) -> Made:
    """The competition's copies: PNGs at its working size."""
    labels = parents["label"].to_pylist()
    draws: dict[str, Draw] = {
        "faster_autoaugment": from_policy(found, chained=params.chained),
        "random": at_random(found),
        "affine": lambda pixels, _, generator: random_affine(pixels, params.affine, generator),
    }
    for origin, draw in draws.items():
        made = make_copies(origin, draw, images, labels, _generator(params, origin))
        yield origin, copy_rows(made, parents.to_pylist())
        if origin == "faster_autoaugment":
            yield "inversion", copy_rows(invert_some(made, chosen), parents.to_pylist())


def _rendered(params: Params, found: Policy, inputs: Inputs, parents: pa.Table, chosen: npt.NDArray[np.bool_]) -> Made:
    """Copies of photographs: rendered at the model's size from what is recorded."""
    labels = parents["label"].to_pylist()
    draws = {
        "faster_autoaugment": plan_from_policy(found, chained=params.chained),
        "random": plan_at_random(found),
        "affine": plan_affine(params.affine),
    }

    def copies(origins: Sequence[str], plan: Plan) -> Iterator[Copy]:
        return spread_copies(origins, plan, parents, pixels=inputs.pixels, card=inputs.card)

    for origin, draw in draws.items():
        plan = draw_plan(draw, labels, _generator(params, origin))
        yield origin, copies([origin] * len(plan), plan)
        if origin == "faster_autoaugment":
            origins = ["inversion" if one else origin for one in chosen.tolist()]
            yield "inversion", copies(origins, with_inversion(plan, chosen))


SECTIONS: Sections = {"params": ("augment", Params), "max_images": ("judge.max_images", Count)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
