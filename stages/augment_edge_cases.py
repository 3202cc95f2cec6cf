"""Bring every class to the same count with inverted, shifted, zoomed and rotated copies of its edge cases.

Reads   --dataset         dataset: train and others
        --edge-cases      table: id, distance, edge
        --policy          whether each class's label survives inversion; none of the others is inverted
Writes  --augmented       dataset: the same and the copies; every class of train has the same count, and train and val
                          together as many as an arm may hold; surplus copies of a class, due to new labels, are removed
Params  augment_edge_cases, judge.max_images
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from winnow.augmentation.balance import without_surplus
from winnow.augmentation.copies import copy_rows, invert_some, make_copies
from winnow.augmentation.edge_cases import choose_edge_parents
from winnow.augmentation.policy_file import load_policy
from winnow.dataset.images import read_images, write_dataset
from winnow.dataset.samples import class_names, label_indices, only_source, only_splits, read_samples, samples_table
from winnow.pipeline.fields import Count, Seed, Share, section
from winnow.pipeline.files import read_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.transforms.views import Ranges, random_affine

EDGE_SCHEMA = pa.schema(
    [pa.field(n, t, nullable=False) for n, t in (("id", pa.string()), ("distance", pa.float64()), ("edge", pa.bool_()))]
)


@section
class Params:
    """Section `augment_edge_cases`."""

    seed: Seed
    copies: Count  # at most of one image while its class has others
    inverted_share: Share  # of the copies of each class whose label survives it
    affine: Ranges


def main(params: Params, max_images: int, *, dataset: Path, edge_cases: Path, policy: Path, augmented: Path) -> None:
    """Run the stage on the files given."""
    samples, found = read_samples(dataset), read_table(edge_cases, EDGE_SCHEMA)
    checked = load_policy(policy)
    classes = class_names(samples)
    source = only_source(only_splits(samples, "train"))  # N rows
    if found["id"].to_pylist() != source["id"].to_pylist():
        raise UserError(f"{edge_cases} is about other images than {dataset} holds; run `dvc repro`")
    rng = np.random.default_rng(params.seed)
    per_class = (max_images - only_splits(samples, "val").num_rows) // len(classes)
    samples = without_surplus(samples, per_class=per_class, rng=rng)
    counts = np.bincount(label_indices(only_splits(samples, "train")), minlength=len(classes))  # (K,)
    if counts.max() > per_class:
        largest = classes[int(counts.argmax())]
        raise UserError(
            f"{dataset}: class {largest} has {counts.max()} training images, but judge.max_images leaves {per_class} "
            f"for each of {len(classes)} classes beside val; raise it, or take images of {largest} away"
        )
    chosen = choose_edge_parents(
        label_indices(source),
        found["distance"].to_numpy(),
        found["edge"].to_numpy(),
        missing=per_class - counts,
        copies=params.copies,
    )  # (M,) rows of source
    parents = source.take(chosen)
    pixels = read_images(dataset, source["id"].to_pylist())[chosen]  # (M, H, W, C)
    generator = torch.Generator().manual_seed(params.seed)
    made = make_copies(
        "edge_case",
        lambda images, _, draws: random_affine(images, params.affine, draws),
        pixels,
        parents["label"].to_pylist(),
        generator,
    )
    survives = np.array([checked.limit("invert", label) > 0 for label in parents["label"].to_pylist()], dtype=bool)
    inverted = (rng.random(len(chosen)) < params.inverted_share) & survives
    made = invert_some(made, inverted, origin="edge_case")
    copied = list(copy_rows(made, parents.to_pylist()))
    table = samples_table([*samples.to_pylist(), *(row for row, _ in copied)], classes)
    write_dataset(augmented, table, images=[image for _, image in copied], shards_from=[dataset])
    print(
        f"augment_edge_cases: {len(chosen)} copies of {len(np.unique(chosen))} images; {per_class} training images in "
        f"each of {len(classes)} classes"
    )


SECTIONS: Sections = {"params": ("augment_edge_cases", Params), "max_images": ("judge.max_images", int)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
