"""Accept a round's dataset, or reject it and pass on what came in.

The model is trained on both, once per seed, and evaluated on the same images: the validation images and the label
book as they came in. The test set is not used. Overrides do not affect the decision, since both sides have them: what
came in is compared and passed on with the overrides applied, and the ledger then names this stage for them.

Reads   --incoming   dataset that the round started from
        --candidate  dataset that the round made of it
        --verdicts   verdict tables of the round, in the order of its stages
        --overrides  table: id, label, reason, by
        --round      name of the round
        --model      JSON: the model
        --pixels     arrays of the source images at its size
        --features   arrays of their features
        --user       folder with the user's own code and weights
Writes  --accepted   the dataset passed on, with its ledger: what came in with it, then the round's verdicts, or the
                     overrides alone if it is rejected
        --metrics    JSON: accepted; the gain in accuracy with its 95 % interval; both means; images and seeds
Params  gate, head, finetune
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from winnow.dataset.images import write_dataset
from winnow.dataset.samples import class_names, label_indices, only_source, only_splits, read_samples
from winnow.evaluation.gate import decide
from winnow.model.inputs import Inputs, read_inputs
from winnow.model.learner import answers, learner_of
from winnow.pipeline.fields import Seeds, section
from winnow.pipeline.files import read_table, write_json
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.pipeline.workers import run_jobs
from winnow.training.head import HeadProfile
from winnow.training.training import Labelled, Profile
from winnow.verdicts.apply import with_overrides
from winnow.verdicts.ledger import VERDICT_SCHEMA, extend_ledger, read_ledger, write_ledger
from winnow.verdicts.overrides import count_text, read_overrides


@section
class Params:
    """Section `gate`."""

    seeds: Seeds
    profile: Profile  # how the competition's model is trained

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must name at least one seed, and each once, got {self.seeds}")


def main(
    params: Params,
    head: HeadProfile,
    finetune: Profile,
    *,
    incoming: Path,
    candidate: Path,
    verdicts: list[Path],
    overrides: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user: Path,
    round: str,
    accepted: Path,
    metrics: Path,
) -> None:
    """Run the stage on the files given."""
    resolved = read_overrides(overrides)
    came_in, overridden = with_overrides(read_samples(incoming), resolved, round_name=round, stage="gate")
    inputs = read_inputs(model, pixels, features)
    learner = learner_of(inputs.card, fixed=params.profile, head=head, finetune=finetune, user_folder=user)
    queried = _labelled(inputs, incoming, came_in, "val", "label_book")
    sides = [
        (_labelled(inputs, folder, samples, "train"), _labelled(inputs, folder, samples, "val"))
        for folder, samples in ((candidate, read_samples(candidate)), (incoming, came_in))
    ]
    classes = len(class_names(came_in))
    jobs = [(*side, queried, classes, learner, seed) for side in sides for seed in params.seeds]
    steps = sum(learner.epochs_on(len(job[0].labels)) for job in jobs)
    right = np.stack(run_jobs(answers, jobs, steps=steps, label="gate: epochs"))  # (2 S, N)
    decision = decide(right[: len(params.seeds)], right[len(params.seeds) :])
    if decision.accepted:
        write_dataset(accepted, read_samples(candidate), shards_from=[candidate])
        tables = [read_table(path, VERDICT_SCHEMA) for path in verdicts]
    else:
        write_dataset(accepted, came_in, shards_from=[incoming])
        tables = [overridden]
    write_ledger(accepted, extend_ledger(read_ledger(incoming), tables))
    write_json(metrics, decision.figures(images=len(queried.labels), seeds=len(params.seeds)))
    gain = decision.gain
    print(
        f"gate: {'accepted' if decision.accepted else 'REJECTED, what came in is passed on'}: accuracy "
        f"{decision.candidate:.3f} against {decision.incoming:.3f} on {len(queried.labels)} images, "
        f"gain {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]{count_text(resolved)}"
    )


def _labelled(inputs: Inputs, dataset: Path, samples: pa.Table, *splits: str) -> Labelled:
    samples = only_splits(samples, *splits)
    if splits != ("train",):
        samples = only_source(samples)
    if not samples.num_rows:
        raise UserError(f"{dataset}: no {' or '.join(splits)} images are left; cleanse less, or add images")
    return Labelled(inputs.trained_on(dataset, samples["id"].to_pylist()), label_indices(samples))


SECTIONS: Sections = {
    "params": ("gate", Params),
    "head": ("head", HeadProfile),
    "finetune": ("finetune", Profile),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
