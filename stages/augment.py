"""Bring every class to the same count with augmented copies, in one dataset per method of augmentation.

The four datasets hold the same source images and copy the same ones equally often: only the operations on the copies
differ. Validation images and label book are passed on unchanged; earlier copies are left out.

Reads   --dataset   dataset with split train; any others
        --policy    the found policy, the operations offered to the search, and the limits of each class
Writes  --by-random           copies under the same operations, probability and magnitude uniform
        --by-policy           copies under the found policy
        --by-policy-inverted  the same, a share of them inverted; none of a class whose label does not survive it
        --by-affine           copies under a mild affine chosen by hand
Params  augment, judge.max_images
"""

from pathlib import Path

import numpy as np
import torch

from winnow.augmentation.balance import choose_parents, choose_share, demand_balance
from winnow.augmentation.copies import (
    Copies,
    Draw,
    at_random,
    copy_rows,
    from_policy,
    invert_some,
    make_copies,
    unchanged,
)
from winnow.augmentation.policy_file import load_policy
from winnow.dataset.images import read_images, write_dataset
from winnow.dataset.samples import class_names, label_indices, only_source, only_splits, read_samples, samples_table
from winnow.pipeline.fields import Count, Seed, Share, section
from winnow.pipeline.stage import Sections, run_stage
from winnow.transforms.views import Ranges, random_affine


@section
class Params:
    """Section `augment`."""

    seed: Seed
    budget: int  # training images after augmentation, source images included, in all classes together
    chained: Count  # sub-policies that a copy takes, each weakened to one part in as many; 1: as published
    inverted_share: Share  # of the copies of each class whose label survives it, in the inverted dataset
    affine: Ranges  # of the affine chosen by hand


def main(
    params: Params,
    max_images: int,
    *,
    dataset: Path,
    policy: Path,
    by_random: Path,
    by_policy: Path,
    by_policy_inverted: Path,
    by_affine: Path,
) -> None:
    """Run the stage on the files given."""
    samples, found = read_samples(dataset), load_policy(policy)
    per_class = demand_balance(samples, budget=params.budget, max_images=max_images)
    source = only_source(samples)
    train = only_splits(source, "train")  # N rows
    rng = np.random.default_rng(params.seed)
    chosen = choose_parents(label_indices(train), per_class=per_class, rng=rng)  # (M,) rows of train
    parents = train.take(chosen)
    survives = np.array([found.limit("invert", label) > 0 for label in parents["label"].to_pylist()], dtype=bool)
    inverted = choose_share(label_indices(parents), share=params.inverted_share, rng=rng) & survives  # (M,)
    pixels = read_images(dataset, train["id"].to_pylist())[chosen]  # (M, H, W, C)

    def copies(origin: str, draw: Draw) -> Copies:
        # One generator per method, so that a change of one leaves the bytes of the others as they are.
        seed = int(np.random.default_rng([params.seed, *origin.encode()]).integers(2**63))
        return make_copies(origin, draw, pixels, parents["label"].to_pylist(), torch.Generator().manual_seed(seed))

    drawn = copies("faster_autoaugment", from_policy(found, chained=params.chained))
    written = {
        by_random: copies("random", at_random(found)),
        by_policy: drawn,
        by_policy_inverted: invert_some(drawn, inverted),
        by_affine: copies("affine", lambda images, _, generator: random_affine(images, params.affine, generator)),
    }
    for folder, made in written.items():
        copied = list(copy_rows(made, parents.to_pylist()))
        table = samples_table([*source.to_pylist(), *(row for row, _ in copied)], class_names(samples))
        write_dataset(folder, table, images=[image for _, image in copied], shards_from=[dataset])
    still = sum(len(unchanged(made.pixels, pixels)) for made in written.values())
    print(
        f"augment: {per_class} training images in each of {len(class_names(samples))} classes, {len(chosen)} of them "
        f"copies; {still} of the {len(written) * len(chosen)} copies drawn equal their source image; "
        f"{inverted.sum()} are inverted in the inverted dataset"
    )


SECTIONS: Sections = {"params": ("augment", Params), "max_images": ("judge.max_images", int)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
