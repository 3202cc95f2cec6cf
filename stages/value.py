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
Writes  --scores   table: id, one column of removal effects (Eq. 2) per label-book id, or where there are more than
                   value.columns a class, min, mean, label_quality in [0, 1], score, the same under its former name,
                   harm, and harm_p, its p-value; lower is worse in each
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
from winnow.engine.folders import folder_for_all
from winnow.influence.columns import BookColumns, book_columns
from winnow.influence.harm import Harm, measure_harm
from winnow.influence.head_valuation import FeatureData
from winnow.influence.parts import Effects
from winnow.influence.spread import Members, Valuation, value_heads, value_networks
from winnow.influence.trajectory import Sgd
from winnow.influence.valuation import Data, Plan
from winnow.model.inputs import Inputs, read_inputs
from winnow.pipeline.fields import Batch, Count, Epochs, Few, NoneOrSteps, Seed, section
from winnow.pipeline.files import Columns, write_csv, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.support import Support, read_support
from winnow.training.head import HeadProfile
from winnow.transforms.views import Ranges

Labels = npt.NDArray[np.int64]


SCORES: Columns = {
    "id": (pa.string(), "of a train or val image"),
    "<label-book id>": (pa.float64(), "removal effect on that label-book image; below 0, removing lowers its loss"),
    "class:<class>": (
        pa.float32(),
        "instead of these where the label book has more than `value.columns` images: the removal effect on the mean "
        "loss of its images of the class",
    ),
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
    most_steps: NoneOrSteps  # updates; many images train for fewer epochs, at least 1. 0: no limit
    batch: Batch
    batch_norm_momentum: Annotated[float, Field(gt=0, le=1)]  # weight of the newest batch in the running statistics
    sgd: Sgd
    views: Ranges
    gradients: Literal["checkpoints", "replay"]
    checkpoint_epochs: Epochs  # a checkpoint stands for so many epochs
    influence_batch: Batch  # images at once; speed and memory alone depend on it
    # Of training and of checkpoint gradients; bfloat16 where that is faster.
    precision: Literal["float32", "bfloat16"]
    columns: Count  # of effects, one a label-book image; where these are more, one a class
    exact_classes: Count  # of heads: with more classes influence leaves out the curvature

    def __post_init__(self) -> None:
        if self.trajectories % self.folds:
            raise ValueError(f"trajectories must be a multiple of folds ({self.folds}), got {self.trajectories}")

    @property
    def plan(self) -> Plan:
        """What every trajectory shares."""
        return Plan(
            epochs=self.epochs,
            most_steps=self.most_steps,
            batch=self.batch,
            batch_norm_momentum=self.batch_norm_momentum,
            sgd=self.sgd,
            views=self.views,
            checkpoint_epochs=self.checkpoint_epochs,
            replay=self.gradients == "replay",
            influence_batch=self.influence_batch,
            bfloat16=self.precision == "bfloat16",
        )


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
    members = deal_members(params, labels, groups, rng)
    columns = book_columns(
        book["id"].to_pylist(), label_indices(book), class_names(samples), by_class=len(book) > params.columns
    )
    sides = Sides(dataset, suspects, book, columns)
    valued = valuation(params, head, inputs, sides, members)
    if not np.isfinite(valued.effect).all():
        where = "value.sgd" if inputs.card.competition else "head"
        raise UserError(f"params.yaml: the trajectories diverged; lower {where}.learning_rate or {where}.momentum")
    judged = only_splits(samples, "train", "val", "label_book")
    measured, _ = read_support(
        inputs, dataset, judged, support, classes=classes, planted=planted, user_signals=user_signals
    )
    rows = np.flatnonzero(column(judged, "split") != "label_book")  # the suspects, in their order
    label_quality = measured.quality(labels, rows, stop=support.stop)
    table = scores_table(suspects, columns, valued.effect, label_quality, measure_harm(valued.effect, labels, rng=rng))
    write_table(scores, table)
    epochs = [(t, epoch, f"{loss:.6g}") for t, one in enumerate(valued.curves) for epoch, loss in enumerate(one, 1)]
    write_csv(curve, ["trajectory", "epoch", "training_loss"], epochs)
    write_histogram(influence, "effect", table["mean"].to_numpy())
    write_histogram(quality, "label_quality", label_quality)
    print(
        f"value: {len(suspects)} images valued on {len(book)} of the label book by {params.trajectories} trajectories"
    )


def deal_members(params: Params, labels: Labels, groups: list[str], rng: np.random.Generator) -> Members:
    """(N,) of each trajectory: the images that it is trained on."""
    partitions = [
        deal_folds(labels, groups, folds=params.folds, rng=rng) for _ in range(params.trajectories // params.folds)
    ]
    alone = params.folds == 1  # as published: every run trains on all
    return [(partitions[t // params.folds] != t % params.folds) | alone for t in range(params.trajectories)]


@dataclass(frozen=True)
class Sides:
    """What is valued, and on what."""

    dataset: Path
    suspects: pa.Table
    book: pa.Table
    columns: BookColumns


def valuation(params: Params, head: HeadProfile, inputs: Inputs, sides: Sides, members: Members) -> Valuation:
    """By heads on features, or by whole networks on images."""
    suspects, book = sides.suspects, sides.book
    labels, book_labels, classes = label_indices(suspects), label_indices(book), len(class_names(suspects))
    ids, book_ids = suspects["id"].to_pylist(), book["id"].to_pylist()
    with folder_for_all() as folder:  # for what the workers leave
        if inputs.on_features:
            vectors, trusted = inputs.vectors(sides.dataset, ids), inputs.vectors(sides.dataset, book_ids)
            on_features = FeatureData(vectors, labels, trusted, book_labels, sides.columns, classes)
            exact = classes <= params.exact_classes
            return value_heads(on_features, members, head, params.seed + 1, folder, exact=exact)
        images, shown = inputs.images(sides.dataset, ids), inputs.images(sides.dataset, book_ids)
        data = Data(images, labels, shown, book_labels, sides.columns, classes)
        return value_networks(data, members, params.plan, params.seed + 1, folder)


def scores_table(
    suspects: pa.Table, columns: BookColumns, effect: Effects, quality: npt.NDArray[np.float64], harm: Harm
) -> pa.Table:
    """The table of scores."""
    by_column = np.ascontiguousarray(effect.T)  # whose rows Arrow takes as they are
    return pa.table(
        {
            "id": suspects["id"].combine_chunks(),
            **dict(zip(columns.names, by_column, strict=True)),
            "min": effect.min(axis=1).astype(np.float64),
            "mean": effect.mean(axis=1, dtype=np.float64),
            "label_quality": quality,
            "score": quality,  # what label_quality was called before; it stays for one release
            "harm": harm.score,
            "harm_p": harm.p,
        }
    )


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
