"""Summarise the run: compare the arms, count the verdicts, and compare them with the truth where it is known.

Reads   --judge-metrics    folder of the judge's figures: <arm>/seed-<s>.json
        --judge-models     folder of the judge's predictions: <arm>/seed-<s>.parquet
        --refined          dataset whose ledger holds every verdict that led to it
        --scores           table: id, label_quality (lower is worse), and others
        --signals          table: id, and the support of each signal of the cleansing by neighbours
        --first-verdicts   verdicts of the cleansing before, which may have given an image another label
        --estimates        JSONs of the cleansings: estimated share of faults, and whether it only ranked
        --prepared         dataset: train and val as delivered
        --truth            table: id, label (null for junk), noise; no rows where the truth is unknown
        --prepare-metrics  counts of the prepare stage
Writes  --comparison       by judged arm: accuracy, error reduction against the first, gain over the one before, with
                           95 % intervals over seeds and test images
        --contrasts        by part of the method, where the arms with it and without it are judged: its gain
        --refinement       verdicts by round and stage, overrides, files rejected, leaks; against the truth: precision,
                           recall, F1, and how the label quality and each signal rank the faults
        --plots            accuracy.csv (arm, accuracy, low, high), curves.csv (arm, epoch, train_loss, val_accuracy)
Params  compare

Arms and seeds are opened by their names in params.yaml: a file that a removed arm left behind is not reported.
"""

from pathlib import Path

from winnow.dataset.samples import QUALITY_SCHEMA, only_splits, read_samples
from winnow.evaluation.comparison import compare, gain, mean_curves, read_arm
from winnow.evaluation.comparison_table import Parts, comparison_text
from winnow.evaluation.contrasts import contrasts as contrasts_of
from winnow.evaluation.detection import COUNTED, refine
from winnow.evaluation.seed_files import SeedFiles
from winnow.pipeline.fields import Seeds, Share, section
from winnow.pipeline.files import read_table, write_csv, write_json
from winnow.pipeline.json_files import read_json
from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.ledger import read_ledger


@section
class Params:
    """Section `compare`."""

    seeds: Seeds
    judged: list[str]  # arms whose model is trained, in the table's order; the first is the baseline
    arms: dict[str, str]  # every arm, with its dataset
    controls: dict[str, str]  # fair controls, which `make reproduce ARMS=all` adds to arms
    contrasts: dict[str, list[str]]  # by part of the method: the arm with it, the arm without it
    margin: Share  # accuracy that a part may cost and still be called non-inferior

    def __post_init__(self) -> None:
        """Reject what gives no table."""
        if not self.judged or not self.seeds:
            raise ValueError("judged and seeds must each name at least one")
        if len(set(self.judged)) < len(self.judged):
            raise ValueError(f"judged must name each arm once, got {self.judged}")
        for arm in self.judged:
            if arm not in self.arms:
                raise ValueError(f"judged names {arm}, which is none of arms; arms has {', '.join(self.arms)}")
        for name, dataset in self.controls.items():
            if self.arms.get(name, dataset) != dataset:
                raise ValueError(
                    f"controls.{name} is {dataset}, but arms has {self.arms[name]} by that name; rename one"
                )
        for part, pair in self.contrasts.items():
            _check_contrast(part, pair, [*self.arms, *self.controls])


def _check_contrast(part: str, pair: list[str], known: list[str]) -> None:
    if len(pair) != 2 or pair[0] == pair[1]:
        raise ValueError(f"contrasts.{part} must name two arms, one with the part and one without, got {pair}")
    for arm in pair:
        if arm not in known:
            raise ValueError(
                f"contrasts.{part} names {arm}, which is none of arms and controls; these have "
                f"{', '.join(dict.fromkeys(known))}; take this contrast away too, or bring the arm back"
            )


def main(
    params: Params,
    *,
    judge_metrics: Path,
    judge_models: Path,
    refined: Path,
    scores: Path,
    signals: Path,
    first_verdicts: Path,
    estimates: list[Path],
    prepared: Path,
    truth: Path,
    prepare_metrics: Path,
    comparison: Path,
    contrasts: Path,
    refinement: Path,
    plots: Path,
) -> None:
    """Run the stage on the files given."""
    results = {
        arm: read_arm([SeedFiles(judge_models / arm, judge_metrics / arm, seed) for seed in params.seeds])
        for arm in params.judged
    }
    table = compare(results)
    parts = contrasts_of(params.contrasts, results, lambda having, lacking: gain(results[having], results[lacking]))
    figures = refine(
        samples=only_splits(read_samples(prepared), "train", "val"),
        truth=read_table(truth, columns=["id", "label", "noise"]),
        scores=read_table(scores, QUALITY_SCHEMA),
        signals=read_table(signals),
        first_verdicts=read_table(first_verdicts, columns=["id", "action"]),
        ledger=read_ledger(refined, COUNTED),
        prepare=read_json(prepare_metrics),
        estimates={path.parent.as_posix(): read_json(path) for path in estimates},
    )
    accuracies = [(arm, *(row["accuracy"][key] for key in ("mean", "low", "high"))) for arm, row in table.items()]
    write_csv(plots / "accuracy.csv", ("arm", "accuracy", "low", "high"), accuracies)
    write_csv(plots / "curves.csv", ("arm", "epoch", "train_loss", "val_accuracy"), mean_curves(results))
    write_json(comparison, table)
    write_json(contrasts, parts)
    write_json(refinement, figures)
    print(comparison_text(table, figures, Parts(parts, params.margin, list(params.controls))))


SECTIONS: Sections = {"params": ("compare", Params)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
