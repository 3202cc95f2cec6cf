"""Cleanse once more, among the images left: the same networks and rule, with neighbours that are clean now.

The copies of the edge cases are judged here for the first time.

Reads   --dataset    dataset after cleanse_neighbours and augment_edge_cases
        --encoders   folder of train_encoder
        --classes    table of embed: id, probability of each class; what is in it is not judged again
        --planted    table: label, probability of planted junk, by the same networks
        --earlier    verdict table of cleanse_neighbours: the labels that it gave are held against those that are left
        --expected   JSON: its estimate, with the share of faults that it expected to leave
        --scores     table: id, label_quality
        --model       JSON: the model
        --pixels      arrays of the source images at its size
        --features    arrays of their features
        --user-signals  folder with the predictions and embeddings of the user's own model
        --overrides  table: id, label, reason, by; they apply whatever the networks predict
        --round      name of the round
Writes  --cleansed   the dataset without what was dropped, new labels set; the image shards passed on unchanged
        --verdicts   table: one row per train or val image, copies too, with the ids of its neighbours as evidence
        --estimate    JSON: the estimated share of faults, the share touched, and whether it only ranked
        --sheet      PNG for people: what was dropped or relabelled, the least supported first
Params  cleanse_final, support
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.cleansing.cleanse import (
    ByPlanted,
    cleanse,
    counts_text,
    read_label_quality,
    relabelled,
    write_cleansed,
)
from winnow.cleansing.neighbour_rule import Rule
from winnow.cleansing.planted_rule import expected_left
from winnow.dataset.samples import class_names, group_indices, label_indices, read_samples
from winnow.model.inputs import Inputs, read_inputs
from winnow.pipeline.messages import UserError
from winnow.pipeline.scratch import scratch_array
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.contrast import unit_features
from winnow.representation.files import read_networks, with_folds
from winnow.representation.heads import neighbours_in_features, out_of_fold
from winnow.representation.out_of_fold import held_out, held_out_probabilities
from winnow.representation.predictions import Neighbours, Points, probabilities_by_id, read_planted
from winnow.representation.support import Support, measure_support
from winnow.representation.user_signals import read_user_signals
from winnow.verdicts.overrides import count_text, read_overrides


def main(
    rule: Rule,
    support: Support,
    *,
    dataset: Path,
    user: Path,
    encoders: Path,
    classes: Path,
    planted: Path,
    earlier: Path,
    expected: Path,
    scores: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user_signals: Path,
    overrides: Path,
    round: str,
    cleansed: Path,
    verdicts: Path,
    estimate: Path,
    sheet: Path,
) -> None:
    """Run the stage on the files given."""
    resolved = read_overrides(overrides)
    samples = read_samples(dataset)
    told = read_user_signals(user_signals, samples)
    inputs = read_inputs(model, pixels, features)
    near, probability = _predicted(samples, inputs, dataset, encoders, user, classes, k=rule.k)
    by_planted = None
    if rule.by == "support":
        junk = read_planted(planted, samples)
        measured = measure_support(
            inputs,
            dataset,
            samples,
            probability,
            support,
            junk=junk,
            user=told,
            expected=expected_left(expected),
        )
        by_planted = ByPlanted(measured, support)
    result = cleanse(
        samples,
        near,
        probability,
        read_label_quality(scores),
        rule,
        resolved,
        round_name=round,
        stage="cleanse_final",
        by_planted=by_planted,
        renamed=relabelled(earlier),
    )
    write_cleansed(result, dataset, samples, cleansed=cleansed, verdicts=verdicts, estimate=estimate, sheet=sheet)
    print(f"cleanse_final: {counts_text(result.verdicts)}{count_text(resolved)}")


def _predicted(
    samples: pa.Table, inputs: Inputs, dataset: Path, encoders: Path, user: Path, classes: Path, *, k: int
) -> tuple[Neighbours, Points]:
    """Neighbours and class probabilities of the samples, by networks that were not trained on them."""
    networks = read_networks(encoders, classes=len(class_names(samples)), backbone=inputs.on_features)
    roots, folds = with_folds(samples, networks.folds, encoders)
    ids, labels = samples["id"].to_pylist(), label_indices(samples)
    if inputs.on_features:
        given, vectors = inputs.trained_on(dataset, ids), unit_features(inputs.vectors(dataset, ids))
        near = neighbours_in_features(vectors, roots, group_indices(samples), k=k)
        return near, out_of_fold(given, labels, roots, folds, networks.classifiers, inputs.card, user)
    images = inputs.images(dataset, ids)
    by_features = not networks.encoders
    spaces = networks.classifiers if by_features else networks.encoders
    _, near = held_out(images, roots, folds, spaces, k=k, by_features=by_features)
    probability, new = _judged_before(classes, samples)  # the copies of edge cases are new
    probability[new] = held_out_probabilities(images, labels, roots, folds, networks.classifiers, new)
    return near, probability


def _judged_before(classes: Path, samples: pa.Table) -> tuple[Points, npt.NDArray[np.bool_]]:
    """(N, K) what the same networks gave before, and the (N,) samples that are new to them, whose rows are NaN."""
    ids, before = probabilities_by_id(classes)
    row_of = {identifier: row for row, identifier in enumerate(ids)}
    places = np.array([row_of.get(one, -1) for one in samples["id"].to_pylist()], dtype=np.int64)
    if before.shape[1] != len(class_names(samples)):
        raise UserError(f"{classes} has other classes than the dataset; run `dvc repro`")
    known: Points = scratch_array((len(places), before.shape[1]), np.float32)
    known.fill(np.nan)
    known[places >= 0] = before[places[places >= 0]]
    new: npt.NDArray[np.bool_] = np.asarray(np.isnan(known).all(axis=1))
    return known, new


SECTIONS: Sections = {"rule": ("cleanse_final", Rule), "support": ("support", Support)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
