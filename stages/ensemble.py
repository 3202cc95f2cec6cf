"""Judge every delivered image by classifiers that were not trained on it, and plant junk that they judge too.

Nothing has been dropped yet: each verdict of the round can rest on what the ensemble says an image may be. A later
round learns from what the one before made, copies included, and judges again what was dropped.

Reads   --dataset  dataset that came into the round: train, val and label book
        --delivered  dataset that the first round started from, with what an earlier one dropped
        --model    JSON: the model
        --pixels   arrays of the source images at its size
        --features arrays of their features
        --user     folder with the user's own code and weights
Writes  --classes  table: id, probability (K, in the order of the classes)
        --planted  table: label, probability of planted junk; no rows where there is a backbone
        --networks folder with the classifiers, class-<repeat>-<fold>.safetensors, and folds.parquet: id, fold by repeat
Params  ensemble, head, finetune
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.dataset.delivered import read_judged
from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.model.inputs import read_inputs
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.ensemble import (
    Ensemble,
    Learning,
    by_repeat,
    deal_source,
    judge_out_of_fold,
    members_of,
    train_members,
)
from winnow.representation.files import folds_by_id, with_folds, write_networks
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
    delivered: Path,
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
    judged = only_splits(read_judged(dataset, delivered), "train", "val", "label_book")  # N rows
    rng = np.random.default_rng(params.seed)
    dealt = deal_source(judged, params, rng, dataset)  # (R, N)
    samples = only_splits(read_samples(dataset), "train", "val", "label_book")
    everyone = pa.concat_tables([judged, samples.filter(samples["parent"].is_valid())])  # the copies last
    _, folds = with_folds(everyone, folds_by_id(judged, dealt), networks)
    learned = np.isin(column(everyone, "id"), column(samples, "id"))
    members = [replace(one, members=one.members & learned) for one in members_of(folds, params, rng)]
    given, labels = inputs.trained_on(dataset, everyone["id"].to_pylist()), label_indices(everyone)
    book, names = column(everyone, "split") == "label_book", class_names(judged)
    # As many updates with copies as without; heads take seconds in any case.
    network = params.network.shortened(len(only_source(samples)) / len(samples))
    learning = Learning(inputs.card, user, network, head, finetune)
    states = by_repeat(train_members(given, labels, book, members, len(names), learning), params)
    given, labels, book = given[: len(judged)], labels[: len(judged)], book[: len(judged)]
    rows, taught = np.arange(len(judged)), learned[: len(judged)]
    probability = judge_out_of_fold(given, labels, rows, dealt, states, (inputs.card, user), taught)
    write_networks(networks, judged, dealt, {"class": states})
    write_probabilities(classes, judged, probability)
    junk = np.zeros((0, len(names)), np.float32)
    if inputs.card.competition:
        junk = classify_junk(given.astype(np.uint8, copy=False), dealt[0], states[0], count=params.junk, rng=rng)
    suspects = judged.filter(pa.array(~book))
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
