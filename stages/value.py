"""Value every train and val image by HyDRA influence on the label book, and rank them by harm.

With a backbone, heads on its features are valued instead of whole networks: exactly, and in seconds. The label quality
is the support of the ensemble's judgement by planted faults (``winnow.representation.planted_faults``), 0.5 its
threshold.

Reads   --dataset  dataset that came into the round, with splits train, val and label_book
        --delivered  dataset that the first round started from, with what an earlier one dropped
        --model    JSON: the model
        --pixels   arrays of the source images at its size
        --features arrays of their features
        --classes  table of the ensemble: id, probability of each class
        --planted  table of the ensemble: label, probability of planted junk
        --user-signals  folder with the predictions and embeddings of the user's own model
Writes  --scores   table: id, one column of removal effects (Eq. 2) per label-book id, min, mean, label_quality
                   in [0, 1], score, the same under its former name, harm, and harm_p, its p-value; lower is worse in
                   each
        --curve    csv: trajectory, epoch, mean training loss
        --influence  csv for a histogram: lower edge of a bin of `mean`, images in it
        --quality    csv for a histogram: the same of `label_quality`
Params  value, head, support
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from winnow.dataset.delivered import read_judged
from winnow.dataset.folds import deal_folds
from winnow.dataset.samples import class_names, column, label_indices, only_splits
from winnow.influence.harm import measure_harm
from winnow.influence.head_valuation import value_head
from winnow.influence.trajectory import Sgd
from winnow.influence.valuation import Plan, mean_effect, value_trajectory
from winnow.model.inputs import Inputs, read_inputs
from winnow.pipeline.fields import Batch, Epochs, Few, Seed, section
from winnow.pipeline.files import Columns, write_csv, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.pipeline.workers import run_jobs
from winnow.representation.support import Support, read_support
from winnow.training.head import HeadProfile
from winnow.transforms.views import Ranges

Members = list[npt.NDArray[np.bool_]]

SCORES: Columns = {
    "id": (pa.string(), "of a train or val image"),
    "<label-book id>": (pa.float64(), "removal effect on that label-book image; below 0, removing lowers its loss"),
    "min": (pa.float64(), "lowest removal effect"),
    "mean": (pa.float64(), "mean removal effect"),
    "label_quality": (
        pa.float64(),
        "in [0, 1], lower is worse: support of the label by the ensemble, scaled so that 0.5 is the threshold",
    ),
    "score": (pa.float64(), "the same under its earlier name, for one release"),
    "harm": (
        pa.float64(),
        "mean of the five lowest removal effects, each in standard deviations from its class's mean",
    ),
    "harm_p": (pa.float64(), "probability that unrelated effects of the image's class give as low a harm"),
}


@section
class Params:
    """Section `value`."""

    seed: Seed
    trajectories: Few  # independent runs; averaged
    # Run t leaves out fold t modulo folds, so that runs without a sample judge it too; 1: none leaves any out.
    folds: Few
    epochs: Epochs
    batch: Batch
    batch_norm_momentum: Annotated[float, Field(gt=0, le=1)]  # weight of the newest batch in the running statistics
    sgd: Sgd
    views: Ranges
    gradients: Literal["checkpoints", "replay"]
    checkpoint_epochs: Epochs  # a checkpoint stands for so many epochs
    influence_batch: Batch  # images at once; speed and memory alone depend on it
    # Of training and of checkpoint gradients; bfloat16 where that is faster.
    precision: Literal["float32", "bfloat16"]

    def __post_init__(self) -> None:
        if self.trajectories % self.folds:
            raise ValueError(f"trajectories must be a multiple of folds ({self.folds}), got {self.trajectories}")

    @property
    def plan(self) -> Plan:
        """What every trajectory shares."""
        return Plan(
            epochs=self.epochs,
            batch=self.batch,
            batch_norm_momentum=self.batch_norm_momentum,
            sgd=self.sgd,
            views=self.views,
            checkpoint_epochs=self.checkpoint_epochs,
            replay=self.gradients == "replay",
            influence_batch=self.influence_batch,
            bfloat16=self.precision == "bfloat16",
        )


@dataclass(frozen=True)
class Valuation:
    """What both kinds of model give for the N suspects."""

    effect: npt.NDArray[np.float64]  # (N, M) removal effects
    curves: list[list[float]]  # by trajectory, mean training loss an epoch


def main(
    params: Params,
    head: HeadProfile,
    support: Support,
    *,
    dataset: Path,
    delivered: Path,
    model: Path,
    pixels: Path,
    features: Path,
    classes: Path,
    planted: Path,
    user_signals: Path,
    scores: Path,
    curve: Path,
    influence: Path,
    quality: Path,
) -> None:
    """Run the stage on the files given."""
    inputs = read_inputs(model, pixels, features)
    samples = read_judged(dataset, delivered)  # a round starts from the source images
    suspects, book = only_splits(samples, "train", "val"), only_splits(samples, "label_book")
    if not len(book):
        raise UserError(
            f"{dataset} has no label_book images, so nothing can be valued; raise prepare.label_book_per_class"
        )
    rng = np.random.default_rng(params.seed)
    labels, groups = label_indices(suspects), suspects["group"].to_pylist()
    partitions = [
        deal_folds(labels, groups, folds=params.folds, rng=rng) for _ in range(params.trajectories // params.folds)
    ]
    alone = params.folds == 1  # as published: every run trains on all
    members = [
        (partitions[t // params.folds] != t % params.folds) | alone for t in range(params.trajectories)
    ]  # (N,) each
    if inputs.on_features:
        valued = value_heads(params, head, inputs, dataset, suspects, book, members)
    else:
        valued = value_networks(params, inputs, dataset, suspects, book, members)
    if not np.isfinite(valued.effect).all():
        raise UserError("params.yaml: the trajectories diverged; lower value.sgd.learning_rate or value.sgd.momentum")
    judged = only_splits(samples, "train", "val", "label_book")
    measured, _ = read_support(
        inputs, dataset, judged, support, classes=classes, planted=planted, user_signals=user_signals
    )
    rows = np.flatnonzero(column(judged, "split") != "label_book")  # the suspects, in their order
    label_quality = measured.quality(labels, rows, stop=support.stop)
    columns = {identifier: valued.effect[:, j] for j, identifier in enumerate(book["id"].to_pylist())}
    mean = valued.effect.mean(axis=1)
    summary = {"min": valued.effect.min(axis=1), "mean": mean, "label_quality": label_quality}
    # `score` is what label_quality was called before; it stays for one release.
    table = {"id": suspects["id"].combine_chunks(), **columns, **summary, "score": label_quality}
    harm = measure_harm(valued.effect, labels, rng=rng)
    table |= {"harm": harm.score, "harm_p": harm.p}
    write_table(scores, pa.table(table))
    epochs = [(t, epoch, f"{loss:.6g}") for t, one in enumerate(valued.curves) for epoch, loss in enumerate(one, 1)]
    write_csv(curve, ["trajectory", "epoch", "training_loss"], epochs)
    write_histogram(influence, "effect", mean)
    write_histogram(quality, "label_quality", label_quality)
    print(
        f"value: {len(suspects)} images valued on {len(book)} of the label book by {params.trajectories} trajectories"
    )


def value_networks(
    params: Params, inputs: Inputs, dataset: Path, suspects: pa.Table, book: pa.Table, members: Members
) -> Valuation:
    """By whole networks, the competition's."""
    plan = params.plan
    data = (
        inputs.images(dataset, suspects["id"].to_pylist()),
        label_indices(suspects),
        inputs.images(dataset, book["id"].to_pylist()),
        label_indices(book),
    )
    classes = len(class_names(suspects))
    jobs = [(*data, one, classes, plan, params.seed + 1 + t) for t, one in enumerate(members)]
    steps = params.trajectories * params.epochs * (2 if plan.replay else 1)
    valued = run_jobs(value_trajectory, jobs, steps=steps, label="value: epochs")
    return Valuation(mean_effect(valued), [one.curve for one in valued])


def value_heads(
    params: Params,
    head: HeadProfile,
    inputs: Inputs,
    dataset: Path,
    suspects: pa.Table,
    book: pa.Table,
    members: Members,
) -> Valuation:
    """By heads on the backbone's features."""
    features, trusted = (inputs.vectors(dataset, side["id"].to_pylist()) for side in (suspects, book))
    labels, book_labels = label_indices(suspects), label_indices(book)
    classes = len(class_names(suspects))
    jobs = [
        (features, labels, trusted, book_labels, one, classes, head, params.seed + 1 + t)
        for t, one in enumerate(members)
    ]
    valued = run_jobs(value_head, jobs, steps=params.trajectories * head.epochs, label="value: epochs")
    return Valuation(mean_effect(valued), [one.curve for one in valued])


def write_histogram(path: Path, name: str, values: npt.NDArray[np.float64]) -> None:
    """Write the lower edges of 50 equal bins and the images in each."""
    counts, edges = np.histogram(values, bins=50)
    write_csv(path, [name, "images"], [(f"{edge:.4g}", n) for edge, n in zip(edges, counts, strict=False)])


SECTIONS: Sections = {
    "params": ("value", Params),
    "head": ("head", HeadProfile),
    "support": ("support", Support),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
