"""Bring every class to the same count with inverted, shifted, zoomed and rotated copies of its edge cases.

Reads   --dataset         dataset: train and others
        --edge-cases      table: id, isolation, edge
        --policy          whether each class's label survives inversion; none of the others is inverted
        --model           JSON: the model
        --pixels          arrays of the source images at its size
        --user            folder with the user's own code and weights
Writes  --augmented       dataset: the same and the copies; every class of train has the same count, and train and val
                          together as many as an arm of the competition may hold, or a multiple of the largest class;
                          where the source images of a class pass that, they stay and the others have the rest;
                          surplus copies of a class, due to new labels, are removed
Params  augment_edge_cases, judge.max_images, augment.max_copies
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from winnow.augmentation.balance import (
    count_within,
    filled_up,
    multiple_of_largest,
    room_left,
    without_surplus,
)
from winnow.augmentation.copying import Copying
from winnow.augmentation.edge_cases import choose_edge_parents
from winnow.augmentation.policy_file import load_policy
from winnow.dataset.images import write_with_copies
from winnow.dataset.samples import class_names, label_indices, only_source, only_splits, read_samples
from winnow.model.copies import add_copy_features
from winnow.model.extraction import Extraction
from winnow.model.inputs import read_inputs
from winnow.pipeline.fields import Count, Few, Multiple, Seed, Share, section
from winnow.pipeline.files import read_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.transforms.views import Ranges

EDGE_SCHEMA = pa.schema(
    [
        pa.field(n, t, nullable=False)
        for n, t in (("id", pa.string()), ("isolation", pa.float64()), ("edge", pa.bool_()))
    ]
)


@section
class Params:
    """Section `augment_edge_cases`."""

    seed: Seed
    multiple: Multiple  # without the competition's cap: images a class, in multiples of the largest
    copies: Few  # at most of one image while its class has others
    inverted_share: Share  # of the copies of each class whose label survives it
    affine: Ranges


def main(
    params: Params,
    max_images: int,
    max_copies: int,
    *,
    dataset: Path,
    edge_cases: Path,
    policy: Path,
    model: Path,
    pixels: Path,
    user: Path,
    augmented: Path,
) -> None:
    """Run the stage on the files given."""
    samples, found = read_samples(dataset), read_table(edge_cases, EDGE_SCHEMA)
    checked = load_policy(policy)
    classes = class_names(samples)
    source = only_source(only_splits(samples, "train"))  # N rows
    if found["id"].to_pylist() != source["id"].to_pylist():
        raise UserError(f"{edge_cases} is about other images than {dataset} holds; run `dvc repro`")
    rng = np.random.default_rng(params.seed)
    inputs = read_inputs(model, pixels, pixels)
    if inputs.card.competition:
        per_class = count_within(samples, budget=max_images, max_images=max_images)
    else:
        per_class = multiple_of_largest(samples, params.multiple)
    samples = without_surplus(samples, per_class=per_class, rng=rng)
    counts = np.bincount(label_indices(only_splits(samples, "train")), minlength=len(classes))  # (K,)
    chosen = choose_edge_parents(
        label_indices(source),
        found["isolation"].to_numpy(),
        found["edge"].to_numpy(),
        missing=per_class - counts,
        copies=params.copies,
        room=None if inputs.card.competition else room_left(samples, source, max_copies),
    )  # (M,) rows of source
    parents = source.take(chosen)
    survives = np.array([checked.limit("invert", label) > 0 for label in parents["label"].to_pylist()], dtype=bool)
    made = Copying(inputs, dataset).by_affine(
        params.affine,
        "edge_case",
        parents,
        inverting=(rng.random(len(parents)) < params.inverted_share) & survives,
        generator=torch.Generator().manual_seed(params.seed),
    )
    written = write_with_copies(augmented, samples, made, shards_from=[dataset])
    if not inputs.card.competition:
        add_copy_features(Extraction(inputs.card, user), "augment_edge_cases", {augmented: written})
    counts = counts + np.bincount(label_indices(parents), minlength=len(classes))
    most = None if inputs.card.competition else max_copies
    said = filled_up(classes, counts, per_class=per_class, copies=len(chosen), most=most)
    print(f"augment_edge_cases: {len(chosen)} copies of {len(np.unique(chosen))} images; {said}")


SECTIONS: Sections = {
    "params": ("augment_edge_cases", Params),
    "max_images": ("judge.max_images", Count),
    "max_copies": ("augment.max_copies", Few),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
