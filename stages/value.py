"""Value every train and val image by HyDRA influence on the label book, and rank them by harm.

Reads   --dataset  dataset with splits train, val and label_book
Writes  --scores   table: id, one column of removal effects (Eq. 2) per label-book id, min, mean, label_quality
                   in [0, 1], and score, the same under its former name; lower is worse in each
        --curve    csv: trajectory, epoch, mean training loss
        --influence  csv for a histogram: lower edge of a bin of `mean`, images in it
        --quality    csv for a histogram: the same of `label_quality`
Params  value
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from winnow.dataset.folds import deal_folds
from winnow.dataset.images import read_images
from winnow.dataset.samples import class_names, label_indices, only_source, only_splits, read_samples
from winnow.influence.trajectory import Sgd
from winnow.influence.valuation import Plan, combine, label_quality, value_trajectory
from winnow.pipeline.fields import AtLeastTwo, Count, Seed, section
from winnow.pipeline.files import Columns, write_csv, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.pipeline.workers import run_jobs
from winnow.transforms.views import Ranges

SCORES: Columns = {
    "id": (pa.string(), "of a train or val image"),
    "<label-book id>": (pa.float64(), "removal effect on that label-book image; below 0, removing lowers its loss"),
    "min": (pa.float64(), "lowest removal effect"),
    "mean": (pa.float64(), "mean removal effect"),
    "label_quality": (pa.float64(), "mean probability of the label, in and out of fold, in [0, 1]; lower is worse"),
    "score": (pa.float64(), "the same under its earlier name, for one release"),
}


@section
class Params:
    """Section `value`."""

    seed: Seed
    trajectories: Count  # independent runs; averaged
    folds: AtLeastTwo  # run t leaves out fold t modulo folds, so that runs without a sample judge it too
    epochs: Count
    batch: Count
    batch_norm_momentum: Annotated[float, Field(gt=0, le=1)]  # weight of the newest batch in the running statistics
    sgd: Sgd
    views: Ranges
    gradients: Literal["checkpoints", "replay"]
    checkpoint_epochs: Count  # a checkpoint stands for so many epochs
    influence_batch: Count  # images at once; speed and memory alone depend on it
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


def main(params: Params, *, dataset: Path, scores: Path, curve: Path, influence: Path, quality: Path) -> None:
    """Run the stage on the files given."""
    samples = only_source(read_samples(dataset))  # a round starts from the source images
    suspects, book = only_splits(samples, "train", "val"), only_splits(samples, "label_book")
    if not len(book):
        raise UserError(
            f"{dataset} has no label_book images, so nothing can be valued; raise prepare.label_book_per_class"
        )
    labels, plan = label_indices(suspects), params.plan
    data = (
        read_images(dataset, suspects["id"].to_pylist()),
        labels,
        read_images(dataset, book["id"].to_pylist()),
        label_indices(book),
    )
    rng = np.random.default_rng(params.seed)
    hashes = suspects["pixel_hash"].to_pylist()
    partitions = [
        deal_folds(labels, hashes, folds=params.folds, rng=rng) for _ in range(params.trajectories // params.folds)
    ]
    jobs = [
        (*data, partitions[t // params.folds] != t % params.folds, len(class_names(samples)), plan, params.seed + 1 + t)
        for t in range(params.trajectories)
    ]
    steps = params.trajectories * params.epochs * (2 if plan.replay else 1)
    valued = run_jobs(value_trajectory, jobs, steps=steps, label="value: epochs")
    values = combine(valued)
    quality_of_label = label_quality(values)
    if not (np.isfinite(values.effect).all() and np.isfinite(quality_of_label).all()):
        raise UserError("params.yaml: the trajectories diverged; lower value.sgd.learning_rate or value.sgd.momentum")
    columns = {identifier: values.effect[:, j] for j, identifier in enumerate(book["id"].to_pylist())}
    summary = {"min": values.effect.min(axis=1), "mean": values.effect.mean(axis=1), "label_quality": quality_of_label}
    # `score` is what label_quality was called before; it stays for one release.
    table = {"id": suspects["id"].combine_chunks(), **columns, **summary, "score": quality_of_label}
    write_table(scores, pa.table(table))
    epochs = [
        (t, epoch, f"{loss:.6g}") for t, one in enumerate(valued) for epoch, loss in enumerate(one.curve, start=1)
    ]
    write_csv(curve, ["trajectory", "epoch", "training_loss"], epochs)
    write_histogram(influence, "effect", summary["mean"])
    write_histogram(quality, "label_quality", quality_of_label)
    print(
        f"value: {len(suspects)} images valued on {len(book)} of the label book by {params.trajectories} trajectories"
    )


def write_histogram(path: Path, name: str, values: npt.NDArray[np.float64]) -> None:
    """Write the lower edges of 50 equal bins and the images in each."""
    counts, edges = np.histogram(values, bins=50)
    write_csv(path, [name, "images"], [(f"{edge:.4g}", n) for edge, n in zip(edges, counts, strict=False)])


SECTIONS: Sections = {"params": ("value", Params)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
