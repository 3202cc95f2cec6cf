"""Make the fair controls of parts of the refined dataset: `make reproduce ARMS=all` alone.

Reads   --refined            the refined dataset
        --policy             whether each class's label survives inversion, as the last round found
        --model              JSON: the model
        --pixels             arrays of the source images at its size
        --user               folder with the user's own code and weights
Writes  --without-edge-cases the dataset without the copies of edge cases
        --plain-copies       the same, with as many copies of each class's training images instead, made as those of
                             edge cases are: only the images differ
        --without-inversion  the dataset, each inverted copy as it is without its inversion
Params  augment_edge_cases.seed, augment_edge_cases.affine, augment_edge_cases.inverted_share, augment.max_copies

A dataset without copies, as after a round that was not accepted, has no such parts: the three equal it.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from winnow.augmentation.balance import choose_share, room_left
from winnow.augmentation.controls import EDGE_CASE, Mask, choose_plain_parents, is_inverted
from winnow.augmentation.copying import Copying
from winnow.augmentation.policy_file import load_policy
from winnow.augmentation.rendering import read_steps
from winnow.dataset.images import write_dataset, write_with_copies
from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.model.copies import add_copy_features
from winnow.model.extraction import Extraction
from winnow.model.inputs import read_inputs
from winnow.pipeline.fields import Few, Seed, Share
from winnow.pipeline.stage import Sections, run_stage
from winnow.transforms.views import Ranges

ORIGIN = "plain"


def main(
    seed: int,
    affine: Ranges,
    inverted_share: float,
    max_copies: int,
    *,
    refined: Path,
    policy: Path,
    model: Path,
    pixels: Path,
    user: Path,
    without_edge_cases: Path,
    plain_copies: Path,
    without_inversion: Path,
) -> None:
    """Run the stage on the files given."""
    samples, found, inputs = read_samples(refined), load_policy(policy), read_inputs(model, pixels, pixels)
    copying, edge = Copying(inputs, refined), column(samples, "origin") == EDGE_CASE
    inverted = np.array([is_inverted(read_steps(one or "[]")) for one in samples["operations"].to_pylist()], dtype=bool)
    ordinary, upright = samples.filter(pa.array(~edge)), samples.filter(pa.array(~inverted))
    rng = np.random.default_rng([seed, *ORIGIN.encode()])
    parents = _plain_parents(
        ordinary, samples.filter(pa.array(edge)), rng, most=None if inputs.card.competition else max_copies
    )  # M rows
    survives = np.array([found.limit("invert", label) > 0 for label in parents["label"].to_pylist()], dtype=bool)
    inverting = choose_share(label_indices(parents), share=inverted_share, rng=rng) & survives  # (M,)
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))

    write_dataset(without_edge_cases, ordinary, shards_from=[refined])
    plain = copying.by_affine(affine, ORIGIN, parents, inverting=inverting, generator=generator)
    again = copying.without_inversion(samples.filter(pa.array(inverted)))
    written = {
        plain_copies: write_with_copies(plain_copies, ordinary, plain, shards_from=[refined]),
        without_inversion: write_with_copies(without_inversion, upright, again, shards_from=[refined]),
    }
    if not inputs.card.competition and any(written.values()):
        add_copy_features(Extraction(inputs.card, user), "control_refined", written)
    print(f"control_refined: {_outcome(samples, edge, len(parents), inverted)}")


def _plain_parents(ordinary: pa.Table, edges: pa.Table, rng: np.random.Generator, *, most: int | None) -> pa.Table:
    """The source image of each plain copy: in each class as many as it has copies of edge cases, where they have room.

    Args:
        ordinary: the samples without the copies of edge cases.
        edges: these copies.
        rng: see ``choose_plain_parents``.
        most: copies of one image; None: any number.
    """
    train = only_splits(only_source(ordinary), "train")
    room = None if most is None else room_left(ordinary, train, most)
    copies = np.bincount(label_indices(edges), minlength=len(class_names(ordinary)))  # (K,)
    return train.take(choose_plain_parents(label_indices(train), copies=copies, rng=rng, room=room))


def _outcome(samples: pa.Table, edge: Mask, plain: int, inverted: Mask) -> str:
    if samples["parent"].null_count == len(samples):
        return "the refined dataset has no copies, as after a round that was not accepted, so the three equal it"
    return f"{edge.sum()} copies of edge cases left out, {plain} plain ones instead; {inverted.sum()} inversions undone"


SECTIONS: Sections = {
    "seed": ("augment_edge_cases.seed", Seed),
    "affine": ("augment_edge_cases.affine", Ranges),
    "inverted_share": ("augment_edge_cases.inverted_share", Share),
    "max_copies": ("augment.max_copies", Few),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
