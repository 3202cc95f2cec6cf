"""Bring every class to the same count with inverted copies of ordinary images.

The published table's row "+ inversion": it has as many images as its last row, with inverted copies of images drawn at
random where that one has copies of edge cases.

Reads   --dataset    dataset: train and others, copies by a policy among them
        --model      JSON: the model
        --pixels     arrays of the source images at its size
        --user       folder with the user's own code and weights
Writes  --augmented  dataset: the same and the copies; every class of train has about the count that
                     augment_edge_cases brings it to
Params  augment.seed, augment.max_copies, augment_edge_cases.multiple, judge.max_images
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.augmentation.balance import count_within, filled_up, multiple_of_largest, room_left
from winnow.augmentation.controls import choose_plain_parents
from winnow.augmentation.copies import Copies, copy_rows
from winnow.augmentation.copying import parent_images
from winnow.augmentation.spread import spread_copies
from winnow.dataset.images import Copy, write_with_copies
from winnow.dataset.samples import class_names, label_indices, only_source, only_splits, read_samples
from winnow.model.copies import add_copy_features
from winnow.model.extraction import Extraction
from winnow.model.inputs import Inputs, read_inputs
from winnow.pipeline.fields import Count, Few, Multiple, Seed
from winnow.pipeline.stage import Sections, run_stage
from winnow.transforms.operations import Applied


def main(
    seed: int,
    max_copies: int,
    multiple: float,
    max_images: int,
    *,
    dataset: Path,
    model: Path,
    pixels: Path,
    user: Path,
    augmented: Path,
) -> None:
    """Run the stage on the files given."""
    samples, inputs = read_samples(dataset), read_inputs(model, pixels, pixels)
    classes, source = class_names(samples), only_source(only_splits(samples, "train"))  # source: N rows
    if inputs.card.competition:
        per_class = count_within(samples, budget=max_images, max_images=max_images)
    else:
        per_class = multiple_of_largest(samples, multiple)
    counts = np.bincount(label_indices(only_splits(samples, "train")), minlength=len(classes))  # (K,)
    chosen = choose_plain_parents(
        label_indices(source),
        copies=per_class - counts,
        rng=np.random.default_rng(seed),
        room=None if inputs.card.competition else room_left(samples, source, max_copies),
    )  # (M,) rows of source
    made = _copies(inputs, dataset, source, chosen)
    written = write_with_copies(augmented, samples, made, shards_from=[dataset])
    if not inputs.card.competition:
        add_copy_features(Extraction(inputs.card, user), "augment_inversion", {augmented: written})
    counts = counts + np.bincount(label_indices(source)[chosen], minlength=len(classes))
    most = None if inputs.card.competition else max_copies
    said = filled_up(classes, counts, per_class=per_class, copies=len(chosen), most=most)
    print(f"augment_inversion: {len(chosen)} inverted copies of {len(np.unique(chosen))} images; {said}")


def _copies(inputs: Inputs, dataset: Path, source: pa.Table, chosen: npt.NDArray[np.int64]) -> Iterator[Copy]:
    """Each of the chosen source images inverted."""
    parents, plan = source.take(chosen), [[Applied("invert", 1.0)] for _ in chosen]
    origins = ["inversion"] * len(plan)
    if inputs.card.competition:
        pixels = 255 - parent_images(inputs, dataset, parents)
        return copy_rows(Copies(origins, pixels, plan), parents.to_pylist())
    return spread_copies(origins, plan, parents, pixels=inputs.pixels, card=inputs.card)


SECTIONS: Sections = {
    "seed": ("augment.seed", Seed),
    "max_copies": ("augment.max_copies", Few),
    "multiple": ("augment_edge_cases.multiple", Multiple),
    "max_images": ("judge.max_images", Count),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
