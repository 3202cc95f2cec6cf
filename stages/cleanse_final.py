"""Cleanse once more, among the images left: the same networks and rule, with neighbours that are clean now.

The copies of the edge cases are judged here for the first time.

Reads   --dataset    dataset after cleanse_neighbours and augment_edge_cases
        --encoders   folder of train_encoder
        --earlier    verdict table of cleanse_neighbours: an image relabelled there has no label quality any more
        --scores     table: id, label_quality
        --overrides  table: id, label, reason, by; they apply whatever the networks predict
        --round      name of the round
Writes  --cleansed   the dataset without what was dropped, new labels set; the image shards passed on unchanged
        --verdicts   table: one row per train or val image, copies too, with the ids of its neighbours as evidence
        --sheet      PNG for people: what was dropped or relabelled, the least supported first
Params  cleanse_final
"""

from pathlib import Path

from winnow.cleansing.cleanse import cleanse, counts_text, read_label_quality, verdict_sheet
from winnow.cleansing.neighbour_rule import Rule
from winnow.dataset.images import read_images, write_dataset
from winnow.dataset.samples import class_names, column, label_indices, read_samples
from winnow.pipeline.files import read_table, write_bytes, write_table
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.files import read_networks, with_folds
from winnow.representation.out_of_fold import held_out, held_out_probabilities
from winnow.verdicts.ledger import RELABEL, VERDICT_SCHEMA
from winnow.verdicts.overrides import count_text, read_overrides


def main(
    rule: Rule,
    *,
    dataset: Path,
    encoders: Path,
    earlier: Path,
    scores: Path,
    overrides: Path,
    round: str,
    cleansed: Path,
    verdicts: Path,
    sheet: Path,
) -> None:
    """Run the stage on the files given."""
    resolved = read_overrides(overrides)
    samples = read_samples(dataset)
    networks = read_networks(encoders, classes=len(class_names(samples)))
    roots, folds = with_folds(samples, networks.folds, encoders)
    images = read_images(dataset, samples["id"].to_pylist())
    _, near = held_out(images, roots, folds, networks.encoders, k=rule.k)
    probability = held_out_probabilities(images, label_indices(samples), roots, folds, networks.classifiers)
    quality = read_label_quality(scores)
    before = read_table(earlier, VERDICT_SCHEMA)
    for identifier in before["id"].filter(column(before, "action") == RELABEL).to_pylist():
        quality.pop(identifier, None)
    result = cleanse(samples, near, probability, quality, rule, resolved, round_name=round, stage="cleanse_final")
    write_table(verdicts, result.verdicts)
    write_dataset(cleansed, result.samples, shards_from=[dataset])
    write_bytes(sheet, verdict_sheet(dataset, samples, result.verdicts))
    print(f"cleanse_final: {counts_text(result.verdicts)}{count_text(resolved)}")


SECTIONS: Sections = {"rule": ("cleanse_final", Rule)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
