"""Sum up the run: the arms beside each other, the verdicts, and the verdicts against the truth where it is known.

Reads   --judge-metrics    folder of the judge's figures: <arm>/seed-<s>.json
        --judge-models     folder of the judge's predictions: <arm>/seed-<s>.parquet
        --verdicts         verdict tables in the order of the pipeline, each data/<round>/<stage>/verdicts.parquet
        --prepared         dataset: train and val as delivered
        --truth            table: id, label (null for junk), noise; no rows where the truth is unknown
        --prepare-metrics  counts of the prepare stage
Writes  --comparison       by arm: accuracy, error reduction against the first arm, gain over the arm before, with 95 %
                           intervals over seeds and test images
        --refinement       verdicts by round and stage, files rejected, leaks; against the truth: precision, recall, F1
        --plots            accuracy.csv (arm, accuracy, low, high), curves.csv (arm, epoch, train_loss, val_accuracy)
Params  compare.arms, compare.seeds

Arms and seeds are opened by their names in params.yaml: a file that a removed arm left behind is not reported.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from winnow.comparison import compare, mean_curves, read_arm
from winnow.comparison_table import comparison_text
from winnow.dataset import column, only_splits, read_samples
from winnow.refinement import against_truth, count_actions, fates
from winnow.seed_files import SeedFiles
from winnow.stage import UserError, run_stage, write_csv, write_json


def main(
    arms: dict[str, str],
    seeds: list[int],
    *,
    judge_metrics: Path,
    judge_models: Path,
    verdicts: list[Path],
    prepared: Path,
    truth: Path,
    prepare_metrics: Path,
    comparison: Path,
    refinement: Path,
    plots: Path,
) -> None:
    """Run the stage on the files given."""
    if not arms or not seeds:
        raise UserError("params.yaml: compare.arms and compare.seeds must each name at least one")
    results = {
        arm: read_arm([SeedFiles(judge_models / arm, judge_metrics / arm, seed) for seed in seeds]) for arm in arms
    }
    table = compare(results)
    refined = refine(
        samples=only_splits(read_samples(prepared), "train", "val"),
        truth=pq.read_table(truth),
        verdicts={(path.parts[-3], path.parts[-2]): pq.read_table(path) for path in verdicts},
        prepare=json.loads(prepare_metrics.read_bytes()),
    )
    accuracies = [(arm, *(row["accuracy"][key] for key in ("mean", "low", "high"))) for arm, row in table.items()]
    write_csv(plots / "accuracy.csv", ("arm", "accuracy", "low", "high"), accuracies)
    write_csv(plots / "curves.csv", ("arm", "epoch", "train_loss", "val_accuracy"), mean_curves(results))
    write_json(comparison, table)
    write_json(refinement, refined)
    print(comparison_text(table, refined))


def refine(
    *, samples: pa.Table, truth: pa.Table, verdicts: dict[tuple[str, str], pa.Table], prepare: dict[str, Any]
) -> dict[str, Any]:
    """metrics/refinement.json.

    Args:
        samples: train and val as delivered.
        truth: id, label, noise.
        verdicts: verdict table by round and stage, in the order of the pipeline.
        prepare: the prepare stage's counts.
    """
    given = dict(zip(column(samples, "id").tolist(), column(samples, "given_label").tolist(), strict=True))
    known = dict(zip(truth["id"].to_pylist(), truth["label"].to_pylist(), strict=True))
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for (round_name, stage), table in verdicts.items():
        counts.setdefault(round_name, {})[stage] = count_actions(table["action"].to_pylist())
    fate = fates(given, list(verdicts.values()))
    return {
        "images": len(given),
        "dropped": sum(image.label is None for image in fate.values()),
        "relabelled": sum(image.touched and image.label is not None for image in fate.values()),
        **against_truth(fate, known),
        "verdicts": counts,
        "rejected_files": prepare["rejected_total"],
        "leaks_removed": prepare["leaks_total"],
    }


if __name__ == "__main__":
    run_stage(main, __doc__, {"arms": ("compare.arms", dict[str, str]), "seeds": ("compare.seeds", list[int])})
