"""Find the edge cases of every class: images whose labels stand, but of which the networks are least sure.

As published they are found in a plane instead: the fixed model is trained anew on the dataset, its penultimate features
(with a backbone, its features) are mapped by t-SNE, and what is isolated in its class's cluster is an edge case.

Reads   --dataset     dataset: train and val
        --classes     table of embed: id, probability of each class
        --embeddings  table of embed: id, x, y
        --model       JSON: the model
        --pixels      arrays of the source images at its size
        --features    arrays of their features
Writes  --edge-cases  table: one row per source image of train: id, label, agreement, isolation, x, y, edge
        --sheet       PNG for people: one row per class, its edge cases, the most isolated first
Params  find_edge_cases
"""

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.augmentation.edge_cases import Rule, find_by_margin, find_edge_cases
from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.dataset.streaming import read_thumbnails
from winnow.engine.jobs import run_jobs
from winnow.model.inputs import Inputs, read_inputs
from winnow.model.learner import fixed_features
from winnow.pictures.contact_sheet import contact_sheet
from winnow.pipeline.fields import Seed, section
from winnow.pipeline.files import Columns, read_table, write_bytes, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.heads import embedding
from winnow.representation.plane import plane
from winnow.representation.predictions import probabilities_by_id
from winnow.training.training import Labelled, Profile

Points = npt.NDArray[np.floating]

EDGE_CASES: Columns = {
    "id": (pa.string(), "of a source image of train"),
    "label": (pa.string(), "its class"),
    "agreement": (pa.float64(), "by margin: probability of its label; by plane: share of its neighbours that have it"),
    "isolation": (
        pa.float64(),
        "by margin: 1 - probability of its label + that of the likeliest other, 0 where that is likelier; by plane: "
        "distance to the closest of its class",
    ),
    "x": (pa.float64(), "its place among all images; by plane: t-SNE of the fixed model's features"),
    "y": (pa.float64(), "likewise"),
    "edge": (pa.bool_(), "whether it is an edge case"),
}
# Images that are laid out by plane, at most: all of an arm of the competition. One that is placed at the median of
# others is never isolated.
LAID_OUT = 10_000
COLUMNS, ROWS, TILE = 12, 100, 64  # of the sheet: images per class, classes at most, pixels of each side


@section
class Params:
    """Section `find_edge_cases`."""

    by: Literal["margin", "plane"]  # margin: of the out-of-fold probabilities; plane: as published
    seed: Seed
    profile: Profile  # by plane: how the fixed model is trained
    rule: Rule  # by margin, of it the quantile alone


def main(
    params: Params,
    *,
    dataset: Path,
    classes: Path,
    embeddings: Path,
    model: Path,
    pixels: Path,
    features: Path,
    edge_cases: Path,
    sheet: Path,
) -> None:
    """Run the stage on the files given."""
    samples = read_samples(dataset)
    train, val = only_splits(samples, "train"), only_splits(samples, "val")
    if not train.num_rows or not val.num_rows:
        raise UserError(f"{dataset}: {train.num_rows} train and {val.num_rows} val images left; cleanse less")
    source = only_source(train)  # N rows
    if params.by == "margin":
        probability, points = _judged(classes, embeddings, source, dataset)
        found = find_by_margin(probability, label_indices(source), quantile=params.rule.quantile)
    else:
        inputs = read_inputs(model, pixels, features)
        vectors = _features(params, inputs, dataset, samples)
        points, _ = plane(vectors, label_indices(source), seed=params.seed, most=LAID_OUT)  # (N, 2)
        found = find_edge_cases(points, label_indices(source), params.rule)
    table = pa.table(
        {
            "id": source["id"].combine_chunks(),
            "label": source["label"].combine_chunks(),
            "agreement": found.agreement,
            "isolation": found.isolation,
            "x": points[:, 0],
            "y": points[:, 1],
            "edge": found.edge,
        }
    )
    write_table(edge_cases, table)
    ids, labels, names = column(source, "id"), label_indices(source), class_names(samples)[:ROWS]
    shown = [
        ids[rows[np.argsort(-found.isolation[rows], kind="stable")][:COLUMNS]].tolist()
        for rows in (np.flatnonzero(found.edge & (labels == number)) for number in range(len(names)))
    ]
    small = read_thumbnails(dataset, [one for row in shown for one in row], TILE)
    blank = np.full((TILE, TILE), 255, np.uint8)
    pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    captions: list[str] = []
    for label, row in zip(names, shown, strict=True):
        pictures += [*(small[one] for one in row), *[blank] * (COLUMNS - len(row))]
        captions += [*[label] * len(row), *[""] * (COLUMNS - len(row))]
    write_bytes(sheet, contact_sheet(pictures, captions, columns=COLUMNS, tile=TILE))
    print(f"find_edge_cases: {found.edge.sum()} of {source.num_rows} training images are edge cases")


def _judged(classes: Path, embeddings: Path, source: pa.Table, dataset: Path) -> tuple[Points, Points]:
    """(N, K) probabilities and (N, 2) places of the source images, which are some of those that embed judged."""
    ids, judged = probabilities_by_id(classes)
    placed = read_table(embeddings, columns=["id", "x", "y"])
    wanted, row_of = source["id"].to_pylist(), {identifier: row for row, identifier in enumerate(ids)}
    if ids != placed["id"].to_pylist() or set(wanted) - row_of.keys():
        raise UserError(f"{classes} is about other images than {dataset} holds; run `dvc repro`")
    rows = [row_of[one] for one in wanted]
    return judged[rows], np.stack([placed[axis].to_numpy()[rows] for axis in ("x", "y")], axis=1)


def _features(params: Params, inputs: Inputs, dataset: Path, samples: pa.Table) -> Points:
    """(N, D) of the source images of train, by a model trained on the dataset, or the backbone."""
    train, val = only_splits(samples, "train"), only_splits(samples, "val")
    ids = only_source(train)["id"].to_pylist()
    if inputs.on_features:
        return embedding(inputs.vectors(dataset, ids))
    sides = [Labelled(inputs.images(dataset, side["id"].to_pylist()), label_indices(side)) for side in (train, val)]
    job = (*sides, inputs.images(dataset, ids), len(class_names(samples)), params.profile, params.seed)
    steps = params.profile.epochs_on(train.num_rows)
    (seen,) = run_jobs(fixed_features, [job], steps=steps, label="fixed model: epochs")
    found: Points = seen
    return found


SECTIONS: Sections = {"params": ("find_edge_cases", Params)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
