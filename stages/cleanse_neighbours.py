"""Drop or relabel the images for which networks that were not trained on them predict another class.

Reads   --dataset      dataset: source images and their augmented copies
        --neighbours   table: id, by repeat the ids of the nearest source images, and their distances
        --classes      table: id, probability of each class
        --planted      table: label, probability of planted junk
        --embeddings   table: id, x, y
        --scores       table: id, label_quality (of train and val as they came in)
        --earlier      verdict table of cleanse_influence: the labels that it gave are held against those that are left
        --expected     JSON: its estimate, with the share of faults that it expected to leave
        --model       JSON: the model
        --pixels      arrays of the source images at its size
        --features    arrays of their features
        --user-signals  folder with the predictions and embeddings of the user's own model
        --overrides    table: id, label, reason, by; they apply whatever the networks predict
        --round        name of the round
Writes  --cleansed     the dataset without what was dropped, new labels set; copies follow their source image; the image
                       shards passed on unchanged
        --signals      table: one row per source image that no override relabels: what each signal gives its label
        --verdicts     table: one row per train or val image, copies too, with the ids of its neighbours as evidence
        --estimate    JSON: the estimated share of faults, the share touched, and whether it only ranked
        --sheet        PNG for people: what was dropped or relabelled, the least supported first
        --plane        PNG for people: the t-SNE plane with the images on it, what was dropped and relabelled marked
Params  cleanse_neighbours, support, embed.neighbours
"""

from pathlib import Path

import numpy as np
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
from winnow.dataset.draws import some_of
from winnow.dataset.samples import class_names, column, only_source, read_samples
from winnow.dataset.streaming import read_thumbnails
from winnow.model.inputs import read_inputs
from winnow.pictures.plane import plane_view
from winnow.pipeline.fields import Few
from winnow.pipeline.files import read_table, write_bytes, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.predictions import read_neighbours
from winnow.representation.support import Support, read_support
from winnow.verdicts.ledger import KEEP
from winnow.verdicts.overrides import count_text, read_overrides

DRAWN = 10_000  # points of the plane that were kept at most


def main(
    rule: Rule,
    support: Support,
    kept: int,
    *,
    dataset: Path,
    neighbours: Path,
    classes: Path,
    planted: Path,
    embeddings: Path,
    scores: Path,
    earlier: Path,
    expected: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user_signals: Path,
    overrides: Path,
    round: str,
    cleansed: Path,
    verdicts: Path,
    estimate: Path,
    signals: Path,
    sheet: Path,
    plane: Path,
) -> None:
    """Run the stage on the files given."""
    if rule.k > kept:
        raise UserError(f"params.yaml: cleanse_neighbours.k is {rule.k}, but embed.neighbours keeps {kept}; raise it")
    resolved = read_overrides(overrides)
    samples = read_samples(dataset)
    near = read_neighbours(neighbours, samples)
    quality = read_label_quality(scores)
    planted_faults, probability = read_support(
        read_inputs(model, pixels, features),
        dataset,
        samples,
        support,
        classes=classes,
        planted=planted,
        user_signals=user_signals,
        expected=expected_left(expected),
    )
    result = cleanse(
        samples,
        near,
        probability,
        quality,
        rule,
        resolved,
        round_name=round,
        stage="cleanse_neighbours",
        by_planted=ByPlanted(planted_faults, support) if rule.by == "support" else None,
        renamed=relabelled(earlier),
    )
    write_cleansed(result, dataset, samples, cleansed=cleansed, verdicts=verdicts, estimate=estimate, sheet=sheet)
    write_table(signals, result.signals)
    write_bytes(plane, _plane(dataset, samples, result.verdicts, read_table(embeddings, columns=["id", "x", "y"])))
    print(f"cleanse_neighbours: {counts_text(result.verdicts)}{count_text(resolved)}")


def _plane(dataset: Path, samples: pa.Table, verdicts: pa.Table, embeddings: pa.Table) -> bytes:
    """PNG bytes: the plane of the source images that were judged, what was dropped or relabelled marked.

    Of many images some are drawn: all that were touched, and a sample of the others.
    """
    mine = verdicts.filter(pa.array(np.isin(column(verdicts, "id"), column(only_source(samples), "id"))))
    kept = column(mine, "action") == KEEP
    drawn = np.union1d(np.flatnonzero(~kept), some_of(np.flatnonzero(kept), DRAWN, seed=0))
    judged = {row["id"]: row for row in mine.take(pa.array(drawn)).to_pylist()}
    table = embeddings.filter(pa.array(np.isin(column(embeddings, "id"), list(judged))))
    ids = table["id"].to_pylist()
    return plane_view(
        table["x"].to_numpy(),
        table["y"].to_numpy(),
        [judged[identifier]["label_before"] for identifier in ids],
        class_names(samples),
        [judged[identifier]["label_after"] for identifier in ids],
        lambda shown: list(read_thumbnails(dataset, [ids[number] for number in shown]).values()),
    )


SECTIONS: Sections = {
    "rule": ("cleanse_neighbours", Rule),
    "support": ("support", Support),
    "kept": ("embed.neighbours", Few),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
