"""Train contrastive encoders and classifiers, each without one fold of the images, which it will be applied to.

Reads   --dataset   dataset: the source images of train and val, and the label book
Writes  --encoders  folds.parquet (id, fold by repeat; -1 for the label book), and of each fold the encoder,
                    space-<repeat>-<fold>.safetensors, and the classifier, class-<repeat>-<fold>.safetensors
Params  train_encoder
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from safetensors.torch import save

from winnow.dataset.folds import deal_folds
from winnow.dataset.images import read_images
from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.pipeline.fields import AtLeastTwo, Count, Seed, section
from winnow.pipeline.files import fresh_folder, write_bytes, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.pipeline.workers import run_jobs
from winnow.representation.classifier import train_classifier
from winnow.representation.contrastive import Contrast, train_encoder
from winnow.representation.network import Training
from winnow.representation.out_of_fold import NO_FOLD


@section
class Params:
    """Section `train_encoder`."""

    seed: Seed
    folds: AtLeastTwo  # for each fold, an encoder and a classifier are trained on all the others
    repeats: Count  # how often the images are dealt into folds anew
    contrast: Contrast
    classifier: Training


def main(params: Params, *, dataset: Path, encoders: Path) -> None:
    """Run the stage on the files given."""
    samples = read_samples(dataset)
    source = only_splits(only_source(samples), "train", "val", "label_book")  # N rows
    labels, suspects = label_indices(source), column(source, "split") != "label_book"
    if suspects.sum() < 2 * params.folds:
        raise UserError(
            f"{dataset} has {suspects.sum()} train and val images, {params.folds} folds need {2 * params.folds}"
        )
    rng = np.random.default_rng(params.seed)
    images = read_images(dataset, source["id"].to_pylist())
    hashes = column(source, "pixel_hash")[suspects].tolist()
    folds = [np.full(len(source), NO_FOLD) for _ in range(params.repeats)]  # (N,) by repeat
    for row in folds:
        row[suspects] = deal_folds(labels[suspects], hashes, folds=params.folds, rng=rng)
    shared = [(images, labels, row != fold, int(rng.integers(2**31))) for row in folds for fold in range(params.folds)]
    jobs = [(images, labels, members, params.contrast, seed) for images, labels, members, seed in shared]
    states = run_jobs(train_encoder, jobs, steps=len(jobs) * params.contrast.training.epochs, label="encoders: epochs")
    classifiers = run_jobs(
        train_classifier,
        [
            (images, labels, members, params.classifier, len(class_names(samples)), seed)
            for images, labels, members, seed in shared
        ],
        steps=len(jobs) * params.classifier.epochs,
        label="classifiers: epochs",
    )
    fresh_folder(encoders)
    for number, (state, classifier) in enumerate(zip(states, classifiers, strict=True)):
        repeat, fold = divmod(number, params.folds)
        write_bytes(encoders / f"space-{repeat}-{fold}.safetensors", save(state))
        write_bytes(encoders / f"class-{repeat}-{fold}.safetensors", save(classifier))
    by_image = pa.array(np.stack(folds, axis=1).tolist(), pa.list_(pa.int64()))
    write_table(encoders / "folds.parquet", pa.table({"id": source["id"].combine_chunks(), "folds": by_image}))
    print(f"train_encoder: {len(jobs)} encoders ({params.contrast.loss} loss) and classifiers on {len(source)} images")


SECTIONS: Sections = {"params": ("train_encoder", Params)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
