"""Find the images that belong to their class's cluster but are isolated in it, in the features of the fixed model.

The fixed model is trained anew on the dataset; its penultimate features are mapped into a plane by t-SNE.

With a backbone, its features are used as they are.

Reads   --dataset     dataset: train and val; val chooses the epoch
        --model       JSON: the model
        --pixels      arrays of the source images at its size
        --features    arrays of their features
Writes  --edge-cases  table: one row per source image of train: id, label, agreement (share of its neighbours of its
                      label), distance (to the closest of its class), x, y, edge
        --sheet       PNG for people: one row per class, its edge cases, the furthest first
Params  find_edge_cases
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.augmentation.edge_cases import Rule, find_edge_cases
from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.dataset.streaming import read_thumbnails
from winnow.model.inputs import read_inputs
from winnow.model.learner import fixed_features
from winnow.pictures.contact_sheet import contact_sheet
from winnow.pipeline.fields import Seed, section
from winnow.pipeline.files import Columns, write_bytes, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.pipeline.workers import run_jobs
from winnow.representation.heads import embedding
from winnow.representation.plane import plane
from winnow.training.training import Labelled, Profile

EDGE_CASES: Columns = {
    "id": (pa.string(), "of a source image of train"),
    "label": (pa.string(), "its class"),
    "agreement": (pa.float64(), "share of its neighbours in the plane that have its label"),
    "distance": (pa.float64(), "in the plane, to the closest image of its class"),
    "x": (pa.float64(), "t-SNE of the fixed model's features"),
    "y": (pa.float64(), "likewise"),
    "edge": (pa.bool_(), "whether it is an edge case"),
}
COLUMNS, TILE = 12, 64  # of the sheet: images per class, pixels of each side


@section
class Params:
    """Section `find_edge_cases`."""

    seed: Seed
    profile: Profile  # how the fixed model is trained
    rule: Rule


def main(
    params: Params, *, dataset: Path, model: Path, pixels: Path, features: Path, edge_cases: Path, sheet: Path
) -> None:
    """Run the stage on the files given."""
    samples = read_samples(dataset)
    train, val = only_splits(samples, "train"), only_splits(samples, "val")
    if not train.num_rows or not val.num_rows:
        raise UserError(f"{dataset}: {train.num_rows} train and {val.num_rows} val images left; cleanse less")
    source, inputs = only_source(train), read_inputs(model, pixels, features)  # N rows
    if inputs.on_features:
        seen = embedding(inputs.vectors(dataset, source["id"].to_pylist()))
    else:
        images = inputs.images(dataset, source["id"].to_pylist())
        sides = [Labelled(inputs.images(dataset, side["id"].to_pylist()), label_indices(side)) for side in (train, val)]
        job = (*sides, images, len(class_names(samples)), params.profile, params.seed)
        steps = params.profile.epochs_on(train.num_rows)
        (seen,) = run_jobs(fixed_features, [job], steps=steps, label="fixed model: epochs")
    points, _ = plane(seen, seed=params.seed)  # (N, 2)
    found = find_edge_cases(points, label_indices(source), params.rule)
    table = pa.table(
        {
            "id": source["id"].combine_chunks(),
            "label": source["label"].combine_chunks(),
            "agreement": found.agreement,
            "distance": found.distance,
            "x": points[:, 0],
            "y": points[:, 1],
            "edge": found.edge,
        }
    )
    write_table(edge_cases, table)
    ids = column(source, "id")
    shown = [
        ids[rows[np.argsort(-found.distance[rows], kind="stable")][:COLUMNS]].tolist()
        for rows in (np.flatnonzero(found.edge & (column(source, "label") == label)) for label in class_names(samples))
    ]
    small = read_thumbnails(dataset, [one for row in shown for one in row], TILE)
    blank = np.full((TILE, TILE), 255, np.uint8)
    pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    captions: list[str] = []
    for label, row in zip(class_names(samples), shown, strict=True):
        pictures += [*(small[one] for one in row), *[blank] * (COLUMNS - len(row))]
        captions += [*[label] * len(row), *[""] * (COLUMNS - len(row))]
    write_bytes(sheet, contact_sheet(pictures, captions, columns=COLUMNS, tile=TILE))
    print(f"find_edge_cases: {found.edge.sum()} of {source.num_rows} training images are edge cases")


SECTIONS: Sections = {"params": ("find_edge_cases", Params)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
