"""Cleanse once more, among the images left: the same networks and rule, with neighbours that are clean now.

The copies of the edge cases are judged here for the first time.

Reads   --dataset    dataset after cleanse_neighbours and augment_edge_cases
        --encoders   folder of train_encoder
        --earlier    verdict table of cleanse_neighbours: an image relabelled there has no label quality any more
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

import pyarrow as pa

from winnow.cleansing.cleanse import ByPlanted, cleanse, counts_text, read_label_quality, write_cleansed
from winnow.cleansing.neighbour_rule import Rule
from winnow.dataset.samples import class_names, column, group_indices, label_indices, read_samples
from winnow.model.inputs import Inputs, read_inputs
from winnow.pipeline.files import read_table
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.contrast import unit_features
from winnow.representation.files import read_networks, with_folds
from winnow.representation.heads import neighbours_in_features, out_of_fold
from winnow.representation.out_of_fold import held_out, held_out_probabilities
from winnow.representation.predictions import Neighbours, Points
from winnow.representation.support import Support, measure_support
from winnow.representation.user_signals import read_user_signals
from winnow.verdicts.ledger import RELABEL, VERDICT_SCHEMA
from winnow.verdicts.overrides import count_text, read_overrides


def main(
    rule: Rule,
    support: Support,
    *,
    dataset: Path,
    user: Path,
    encoders: Path,
    earlier: Path,
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
    near, probability = _predicted(samples, inputs, dataset, encoders, user, k=rule.k)
    by_planted = None
    if inputs.on_features:
        vectors = inputs.vectors(dataset, samples["id"].to_pylist())
        by_planted = ByPlanted(measure_support(vectors, probability, samples, support, told), support)
    quality = read_label_quality(scores)
    before = read_table(earlier, VERDICT_SCHEMA)
    for identifier in before["id"].filter(column(before, "action") == RELABEL).to_pylist():
        quality.pop(identifier, None)
    result = cleanse(
        samples,
        near,
        probability,
        quality,
        rule,
        resolved,
        round_name=round,
        stage="cleanse_final",
        by_planted=by_planted,
        predicted=told.probability,
    )
    write_cleansed(result, dataset, samples, cleansed=cleansed, verdicts=verdicts, estimate=estimate, sheet=sheet)
    print(f"cleanse_final: {counts_text(result.verdicts)}{count_text(resolved)}")


def _predicted(
    samples: pa.Table, inputs: Inputs, dataset: Path, encoders: Path, user: Path, *, k: int
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
    _, near = held_out(images, roots, folds, networks.encoders, k=k)
    return near, held_out_probabilities(images, labels, roots, folds, networks.classifiers)


SECTIONS: Sections = {"rule": ("cleanse_final", Rule), "support": ("support", Support)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
