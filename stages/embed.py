"""Embed every image by networks that were not trained on it, find its nearest source images, and classify it.

With a backbone, its features are the embedding.

Reads   --dataset     dataset: source images and their augmented copies
        --model       JSON: the model
        --pixels      arrays of the source images at its size
        --features    arrays of their features
        --user        folder with the user's own code and weights
        --encoders    folder of train_encoder
Writes  --embeddings  table: id, embedding (D float32, unit length, all turned onto one space), x, y (t-SNE of
                      the source images; a copy lies at the median of its neighbours)
        --neighbours  table: id, by repeat the ids of the nearest source images, and their distances
        --classes     table: id, probability (K float32, in the order of the classes)
        --planted     table: label, probability of planted junk; no rows where there is a backbone
Params  embed, ensemble.junk
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.dataset.samples import class_names, column, group_indices, label_indices, read_samples
from winnow.model.inputs import read_inputs
from winnow.pipeline.fields import Count, Few, Seed, section
from winnow.pipeline.files import Columns, write_table
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.contrast import unit_features
from winnow.representation.files import read_networks, with_folds
from winnow.representation.heads import embedding, neighbours_in_features, out_of_fold
from winnow.representation.out_of_fold import classify_junk, held_out, held_out_probabilities
from winnow.representation.plane import plane
from winnow.representation.predictions import write_neighbours, write_planted, write_probabilities

EMBEDDINGS: Columns = {
    "id": (pa.string(), "of a source image or a copy"),
    "embedding": (pa.list_(pa.float32()), "D values, unit length, every fold's space turned onto the first one"),
    "x": (pa.float64(), "t-SNE of the source images; a copy lies at the median of its neighbours"),
    "y": (pa.float64(), "likewise"),
}


@section
class Params:
    """Section `embed`."""

    seed: Seed
    neighbours: Few  # kept of every image and repeat


def main(
    params: Params,
    planted_junk: int,
    *,
    dataset: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user: Path,
    encoders: Path,
    embeddings: Path,
    neighbours: Path,
    classes: Path,
    planted: Path,
) -> None:
    """Run the stage on the files given."""
    inputs = read_inputs(model, pixels, features)
    samples = read_samples(dataset)
    networks = read_networks(encoders, classes=len(class_names(samples)), backbone=inputs.on_features)
    roots, folds = with_folds(samples, networks.folds, encoders)
    ids = samples["id"].to_pylist()
    labels = label_indices(samples)
    source, rng = roots == np.arange(len(ids)), np.random.default_rng(params.seed)
    junk = np.zeros((0, len(class_names(samples))), np.float32)
    if inputs.on_features:
        vectors = inputs.vectors(dataset, ids)
        points = embedding(vectors)
        nearest = neighbours_in_features(unit_features(vectors), roots, group_indices(samples), k=params.neighbours)
        given = vectors if inputs.card.frozen else inputs.images(dataset, ids)
        states = networks.classifiers
        probability = out_of_fold(given, labels, roots, folds, states, inputs.card, user)
    else:
        images = inputs.images(dataset, ids)
        by_features = not networks.encoders
        spaces = networks.classifiers if by_features else networks.encoders
        points, nearest = held_out(images, roots, folds, spaces, k=params.neighbours, by_features=by_features)
        probability = held_out_probabilities(images, labels, roots, folds, networks.classifiers)
        junk = classify_junk(images[source], folds[0][source], networks.classifiers[0], count=planted_junk, rng=rng)
    places = np.zeros((len(ids), 2))
    places[source], places[~source] = plane(points[source], labels[source], seed=params.seed, placed=points[~source])
    write_table(
        embeddings,
        pa.table(
            {
                "id": samples["id"].combine_chunks(),
                "embedding": pa.FixedSizeListArray.from_arrays(pa.array(points.ravel()), points.shape[1]),
                "x": places[:, 0],
                "y": places[:, 1],
            }
        ),
    )
    write_neighbours(neighbours, samples, nearest)
    write_probabilities(classes, samples, probability)
    judged = samples.filter(pa.array(source & np.isin(column(samples, "split"), ("train", "val"))))
    write_planted(planted, junk, judged, rng)
    print(
        f"embed: {len(ids)} images, {source.sum()} of them source images, each among {nearest.index.shape[2]} of these"
    )


SECTIONS: Sections = {"params": ("embed", Params), "planted_junk": ("ensemble.junk", Count)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
