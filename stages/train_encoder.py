"""Train contrastive encoders and classifiers, each without one fold of the images, which it will be applied to.

With a backbone, its features are the embedding, and the classifiers are heads on them, or the whole network where it is
not frozen.

Reads   --dataset   dataset: train, val and label book; of copies in it, each is in the fold of its source image
        --model     JSON: the model
        --pixels    arrays of the source images at its size
        --features  arrays of their features
        --user      folder with the user's own code and weights
Writes  --encoders  folds.parquet (id, fold by repeat; -1 for the label book), and of each fold the classifier,
                    class-<repeat>-<fold>.safetensors, and without a backbone the encoder,
                    space-<repeat>-<fold>.safetensors
Params  train_encoder, head, finetune
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from safetensors.torch import save
from torch import Tensor

from winnow.dataset.folds import deal_folds
from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.model.inputs import read_inputs
from winnow.model.learner import WholeLearner
from winnow.pipeline.fields import AtLeastTwo, Few, Seed, section
from winnow.pipeline.files import fresh_folder, write_bytes, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.pipeline.workers import run_jobs
from winnow.representation.classifier import train_classifier
from winnow.representation.contrastive import Contrast, train_encoder
from winnow.representation.files import with_folds
from winnow.representation.heads import train_head_state, train_whole_state
from winnow.representation.network import Training
from winnow.representation.out_of_fold import NO_FOLD
from winnow.training.head import HeadProfile
from winnow.training.training import Profile

SOURCE_IMAGES = "cleanse_influence/dataset"


@section
class Params:
    """Section `train_encoder`."""

    seed: Seed
    # Of the round, what the networks learn from; the second has the copies as well, as published.
    dataset: Literal["cleanse_influence/dataset", "augment/inverted"]
    folds: AtLeastTwo  # for each fold, an encoder and a classifier are trained on all the others
    repeats: Few  # how often the images are dealt into folds anew
    contrast: Contrast
    classifier: Training


def main(
    params: Params,
    head: HeadProfile,
    finetune: Profile,
    *,
    dataset: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user: Path,
    encoders: Path,
) -> None:
    """Run the stage on the files given."""
    inputs = read_inputs(model, pixels, features)
    samples = read_samples(dataset)
    learned = only_splits(samples, "train", "val", "label_book")
    source = only_source(learned)
    suspects = column(source, "split") != "label_book"
    if suspects.sum() < 2 * params.folds:
        raise UserError(
            f"{dataset} has {suspects.sum()} train and val images, {params.folds} folds need {2 * params.folds}"
        )
    rng = np.random.default_rng(params.seed)
    groups = column(source, "group")[suspects].tolist()
    folds = [np.full(len(source), NO_FOLD) for _ in range(params.repeats)]  # of the source images, by repeat
    for row in folds:
        row[suspects] = deal_folds(label_indices(source)[suspects], groups, folds=params.folds, rng=rng)
    by_image = np.stack(folds, axis=1).tolist()
    if params.dataset == SOURCE_IMAGES:
        learned = source
    _, dealt = with_folds(learned, dict(zip(source["id"].to_pylist(), by_image, strict=True)), encoders)  # (R, N)
    labels, book = label_indices(learned), column(learned, "split") == "label_book"  # (N,) each
    jobs = [(labels, row != fold, int(rng.integers(2**31))) for row in dealt for fold in range(params.folds)]
    given, classes = inputs.trained_on(dataset, learned["id"].to_pylist()), len(class_names(samples))
    spaces: list[dict[str, Tensor]] = []
    if inputs.card.competition:
        spaces = run_jobs(
            train_encoder,
            [(given, *shared, params.contrast, seed) for *shared, seed in jobs],
            steps=len(jobs) * params.contrast.training.epochs,
            label="encoders: epochs",
        )
        classifiers = run_jobs(
            train_classifier,
            [(given, *shared, params.classifier, classes, seed) for *shared, seed in jobs],
            steps=len(jobs) * params.classifier.epochs,
            label="classifiers: epochs",
        )
    elif inputs.card.frozen:
        classifiers = run_jobs(
            train_head_state,
            [(given, *shared, head, classes, seed) for *shared, seed in jobs],
            steps=len(jobs) * head.epochs,
            label="heads: epochs",
        )
    else:
        learner = WholeLearner(finetune, inputs.card, user)
        classifiers = run_jobs(
            train_whole_state,
            [(given, *shared, book, learner, classes, seed) for *shared, seed in jobs],
            steps=sum(learner.epochs_on(int((members & ~book).sum())) for _, members, _ in jobs),
            label="networks: epochs",
        )
    fresh_folder(encoders)
    for kind, states in (("space", spaces), ("class", classifiers)):
        for number, state in enumerate(states):
            repeat, fold = divmod(number, params.folds)
            write_bytes(encoders / f"{kind}-{repeat}-{fold}.safetensors", save(state))
    table = {"id": source["id"].combine_chunks(), "folds": pa.array(by_image, pa.list_(pa.int64()))}
    write_table(encoders / "folds.parquet", pa.table(table))
    kinds = f"encoders ({params.contrast.loss} loss) and classifiers" if spaces else "classifiers"
    print(f"train_encoder: {len(jobs)} {kinds} on {len(learned)} images")


SECTIONS: Sections = {
    "params": ("train_encoder", Params),
    "head": ("head", HeadProfile),
    "finetune": ("finetune", Profile),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
