"""Hand on a round's dataset, or refuse it and hand on what came in.

The fixed model is trained on both, once a seed, and asked about the same images: the validation images and the label
book as they came in. The test set has no part in it.

Reads   --incoming   dataset that the round started from
        --candidate  dataset that the round made of it
        --verdicts   verdict tables of the round, in the order in which they fell
Writes  --accepted   the dataset handed on, with its ledger: what came in with it and, if accepted, the round's verdicts
        --metrics    JSON: accepted; the gain in accuracy with its 95 % interval; both means; images and seeds
Params  gate
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from winnow.dataset import (
    class_names,
    label_indices,
    only_source,
    only_splits,
    read_images,
    read_samples,
    write_dataset,
)
from winnow.gate import decide
from winnow.gate_job import answers
from winnow.judge import Labelled, Profile
from winnow.ledger import extended, read_ledger, write_ledger
from winnow.parallel import run_jobs
from winnow.stage import UserError, run_stage, write_json


@dataclass(frozen=True)
class Params:
    """Section `gate`."""

    seeds: list[int]
    profile: Profile  # how the fixed model is trained

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must name at least one seed, and each once, got {self.seeds}")


def main(
    params: Params, *, incoming: Path, candidate: Path, verdicts: list[Path], accepted: Path, metrics: Path
) -> None:
    """Run the stage on the files given."""
    asked = _labelled(incoming, "val", "label_book")
    classes = len(class_names(read_samples(incoming)))
    sides = {name: (_labelled(name, "train"), _labelled(name, "val")) for name in (candidate, incoming)}
    jobs = [(*side, asked, classes, params.profile, seed) for side in sides.values() for seed in params.seeds]
    steps = sum(params.profile.epochs_on(len(job[0].labels)) for job in jobs)
    right = np.stack(run_jobs(answers, jobs, steps=steps, label="gate: epochs"))  # (2 S, N)
    decision = decide(right[: len(params.seeds)], right[len(params.seeds) :])
    chosen = candidate if decision.accepted else incoming
    ledger = read_ledger(incoming)
    if decision.accepted:
        ledger = extended(ledger, {(path.parts[-3], path.parts[-2]): pq.read_table(path) for path in verdicts})
    write_dataset(accepted, read_samples(chosen), shards_from=[chosen])
    write_ledger(accepted, ledger)
    write_json(metrics, decision.figures(images=len(asked.labels), seeds=len(params.seeds)))
    gain = decision.gain
    print(
        f"gate: {'accepted' if decision.accepted else 'REFUSED, what came in is handed on'}: accuracy "
        f"{decision.candidate:.3f} against {decision.incoming:.3f} on {len(asked.labels)} images, "
        f"gain {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
    )


def _labelled(dataset: Path, *splits: str) -> Labelled:
    samples = only_splits(read_samples(dataset), *splits)
    if splits != ("train",):
        samples = only_source(samples)
    if not samples.num_rows:
        raise UserError(f"{dataset}: no {' or '.join(splits)} images are left; cleanse less, or add images")
    return Labelled(read_images(dataset, samples["id"].to_pylist()), label_indices(samples))


if __name__ == "__main__":
    run_stage(main, __doc__, {"params": ("gate", Params)})
