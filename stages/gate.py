"""Accept a round's dataset, or reject it and pass on what came in.

What it does, or its cleansing and its augmentation each, is held against a margin (``winnow.evaluation.gate``). The
test set is not used. Overrides do not affect the decision, since both sides have them: what came in is compared and
passed on with the overrides applied, and the ledger then names this stage for them.

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
        --metrics    JSON: accepted; the gains in accuracy with their 90 % intervals; both means; images and seeds
Params  gate, head, finetune
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.draws import id_hashes, some_by_hash
from winnow.dataset.folds import deal_folds
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.engine.jobs import run_jobs
from winnow.evaluation.cross_fitted import Folds
from winnow.evaluation.gate import Accept, Answers, Decision, decide
from winnow.model.answers import answers
from winnow.model.inputs import Inputs, read_inputs
from winnow.model.learner import Learner, Rows, learner_of
from winnow.pipeline.fields import AtLeastTwo, OpenShare, Seeds, section
from winnow.pipeline.files import read_table, write_json
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.training.head import HeadProfile
from winnow.training.training import Labelled, Profile
from winnow.verdicts.apply import with_overrides
from winnow.verdicts.ledger import VERDICT_SCHEMA, extend_ledger, read_ledger, write_ledger
from winnow.verdicts.overrides import count_text, read_overrides


@section
class Params:
    """Section `gate`."""

    accept: Accept  # measured, unless_worse, or always (as published)
    ask: Literal["whole", "parts"]  # whole: about cleansing and augmentation together; parts: about each as well
    seeds: Seeds  # one a repeat: of weights, orders and folds
    folds: AtLeastTwo  # each image is classified by models that were trained without its own
    margin: OpenShare  # harm, in accuracy, that a round must surely stay below
    # How the competition's model is trained: for most_steps updates on either side, if epochs allow them.
    profile: Profile

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
    asked = only_splits(only_source(came_in), "train", "val", "label_book")
    made = only_splits(read_samples(candidate), "train", "val")
    queried, whole = _side(inputs, incoming, asked), _side(inputs, candidate, made)
    sides = {"incoming": queried.only(column(asked, "split") != "label_book"), "candidate": whole}
    if params.ask == "parts":
        sides["cleansed"] = whole.only(column(made, "parent") == "")
    elif came_in["parent"].null_count < len(came_in):  # what is passed on otherwise has the copies of earlier rounds
        sides["incoming"] = _side(inputs, incoming, only_splits(came_in, "train", "val"))
    right, folds = cross_fitted(params, sides, queried, len(class_names(came_in)), learner)
    decision = decide(**right, folds=folds, groups=queried.groups, margin=params.margin)
    decision = replace(decision, accept=params.accept)
    if decision.accepted:
        write_dataset(accepted, read_samples(candidate), shards_from=[candidate])
        tables = [read_table(path, VERDICT_SCHEMA) for path in verdicts]
    else:
        write_dataset(accepted, came_in, shards_from=[incoming])
        tables = [overridden]
    write_ledger(accepted, extend_ledger(read_ledger(incoming), tables))
    write_json(metrics, decision.figures(images=len(queried.groups), seeds=len(params.seeds)))
    print(f"gate: {_summary(decision, len(queried.groups))}{count_text(resolved)}")


@dataclass(frozen=True)
class Side:
    """Images that are trained on or classified, and the groups by which they are held out."""

    data: Labelled  # M images, in memory once for all sides that have some of them
    rows: Rows  # (N,) of them, ascending
    hashes: npt.NDArray[np.uint64]  # (N,) of their ids
    groups: npt.NDArray[np.str_]  # (N,)

    def only(self, wanted: npt.NDArray[np.bool_]) -> "Side":
        """The side of some of its N images."""
        return replace(self, rows=self.rows[wanted], hashes=self.hashes[wanted], groups=self.groups[wanted])


def _side(inputs: Inputs, dataset: Path, samples: pa.Table) -> Side:
    data = Labelled(inputs.trained_on(dataset, samples["id"].to_pylist()), label_indices(samples))
    return Side(data, np.arange(len(samples)), id_hashes(samples["id"]), column(samples, "group"))


def cross_fitted(
    params: Params, sides: Mapping[str, Side], queried: Side, classes: int, learner: Learner
) -> tuple[dict[str, Answers], Folds]:
    """By side, (R, N) true where the model trained without an image's fold classifies it as it came in; the folds."""
    jobs: list[tuple[Labelled, Rows, Labelled, Rows, int, Learner, int]] = []
    places, folds = [], np.zeros((len(params.seeds), len(queried.groups)), dtype=np.int64)
    for repeat, seed in enumerate(params.seeds):
        rng = np.random.default_rng(seed)
        folds[repeat] = deal_folds(queried.data.labels, queried.groups.tolist(), folds=params.folds, rng=rng)
        for fold in range(params.folds):
            asked = np.flatnonzero(folds[repeat] == fold)
            weights = int(rng.integers(2**31))  # the same on every side
            for name, side in sides.items():
                others = np.flatnonzero(~np.isin(side.groups, queried.groups[asked]))
                if not len(others) or not len(asked):
                    raise UserError(f"gate.folds is {params.folds}, but the {name} images are too few; lower it")
                given = side.rows[some_by_hash(others, side.hashes, learner.most_images, weights)]
                jobs.append((side.data, given, queried.data, asked, classes, learner, weights))
                places.append((name, repeat, asked))
    right = {name: np.zeros((len(params.seeds), len(queried.groups)), dtype=bool) for name in sides}
    steps = sum(learner.epochs_on(len(given)) for _, given, *_ in jobs)
    for (name, repeat, asked), answered in zip(
        places, run_jobs(answers, jobs, steps=steps, label="gate: epochs"), strict=True
    ):
        right[name][repeat, asked] = answered
    return right, folds


def _summary(decision: Decision, images: int) -> str:
    gains = {"cleansing": decision.cleansing, "augmentation": decision.augmentation, "both": decision.gain}
    asked = {name: gain for name, gain in gains.items() if gain is not None}
    shown = ", ".join(f"{name} {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]" for name, gain in asked.items())
    verdict = "accepted" if decision.accepted else "REJECTED, what came in is passed on"
    verdict += " whatever is measured (gate.accept)" if decision.accept == "always" else ""
    return (
        f"{verdict}: accuracy {decision.candidate:.3f} against {decision.incoming:.3f} on {images} held-out images; "
        f"gain by {shown}, margin {decision.margin:g}"
    )


SECTIONS: Sections = {
    "params": ("gate", Params),
    "head": ("head", HeadProfile),
    "finetune": ("finetune", Profile),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
