"""Judge every delivered image by classifiers that were not trained on it, and plant junk that they judge too.

Nothing has been dropped yet: each verdict of the round can rest on what the ensemble says an image may be.

Reads   --dataset  dataset: train, val and label book
        --model    JSON: the model
        --pixels   arrays of the source images at its size
        --features arrays of their features
        --user     folder with the user's own code and weights
Writes  --classes  table: id, probability (K, in the order of the classes)
        --planted  table: label, probability of planted junk; no rows where there is a backbone
        --networks folder with the classifiers, class-<repeat>-<fold>.safetensors, and folds.parquet: id, fold by repeat
Params  ensemble, head, finetune
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.model.inputs import read_inputs
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.ensemble import (
    Ensemble,
    Learning,
    deal_source,
    judge_out_of_fold,
    members_of,
    train_members,
)
from winnow.representation.files import write_networks
from winnow.representation.out_of_fold import classify_junk
from winnow.representation.predictions import write_planted, write_probabilities
from winnow.training.head import HeadProfile
from winnow.training.training import Profile


def main(
    params: Ensemble,
    head: HeadProfile,
    finetune: Profile,
    *,
    dataset: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user: Path,
    classes: Path,
    planted: Path,
    networks: Path,
) -> None:
    """Run the stage on the files given."""
    inputs = read_inputs(model, pixels, features)
    # A round judges the source images that it starts from, and makes its copies anew.
    source = only_splits(only_source(read_samples(dataset)), "train", "val", "label_book")  # N rows
    rng = np.random.default_rng(params.seed)
    folds = deal_source(source, params, rng, dataset)  # (R, N)
    members = members_of(folds, params, rng)
    given, labels = inputs.trained_on(dataset, source["id"].to_pylist()), label_indices(source)
    book, names = column(source, "split") == "label_book", class_names(source)
    learning = Learning(inputs.card, user, params.network, head, finetune)
    trained = train_members(given, labels, book, members, len(names), learning)
    states = [trained[start : start + params.folds] for start in range(0, len(trained), params.folds)]
    probability = judge_out_of_fold(given, labels, np.arange(len(source)), folds, states, (inputs.card, user))
    write_networks(networks, source, folds, {"class": states})
    write_probabilities(classes, source, probability)
    junk = np.zeros((0, len(names)), np.float32)
    if inputs.card.competition:
        junk = classify_junk(given.astype(np.uint8, copy=False), folds[0], states[0], count=params.junk, rng=rng)
    suspects = source.filter(pa.array(~book))
    write_planted(planted, junk, suspects, rng)
    agree = np.nan_to_num(probability[~book]).argmax(axis=1) == label_indices(suspects)
    print(
        f"ensemble: {len(members)} classifiers; for {100 * agree.mean():.1f} % of {len(suspects)} images their first "
        "choice is the label"
    )


SECTIONS: Sections = {
    "params": ("ensemble", Ensemble),
    "head": ("head", HeadProfile),
    "finetune": ("finetune", Profile),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
