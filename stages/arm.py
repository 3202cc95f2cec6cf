"""Pass on the train and val images of a dataset as an arm of the comparison, within the judge's limits.

In the competition, a dataset that has more of them than an arm may hold is represented by a sample: every class in
proportion, drawn by the images' ids, so that the samples of two arms have most images in common.

Reads   --dataset  dataset: train, val and others
        --model    JSON: the model; the limit is the competition's alone
Writes  --arm      dataset: train and val alone; the shards are passed on unchanged
        --metrics  JSON: images of the arm, and of the dataset that it stands for
Params  arm, judge.max_images
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from winnow.backbone.card import read_card
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import train_and_val
from winnow.dataset.sampling import stratified_sample
from winnow.pipeline.fields import Count, Seed, section
from winnow.pipeline.files import write_json
from winnow.pipeline.stage import Sections, run_stage


@section
class Params:
    """Section `arm`."""

    seed: Seed  # of the sample of a dataset that has more images than judge.max_images


ARM = {  # key of metrics/arms/<arm>.json: meaning
    "train": "training images of the arm",
    "val": "validation images of the arm",
    "sampled": "whether these are a sample, since the dataset has more than judge.max_images (competition alone)",
    "whole_train": "training images of the dataset",
    "whole_val": "validation images of the dataset",
}


def main(params: Params, max_images: int, *, dataset: Path, model: Path, arm: Path, metrics: Path) -> None:
    """Run the stage on the dataset given."""
    whole = train_and_val(dataset, max_images=None)
    most = max_images if read_card(model).competition else len(whole)
    samples = stratified_sample(whole, most=most, seed=params.seed)
    write_dataset(arm, samples, shards_from=[dataset])
    train, val = _sizes(samples)
    whole_train, whole_val = _sizes(whole)
    sampled = len(samples) < len(whole)
    figures = {"train": train, "val": val, "sampled": sampled, "whole_train": whole_train, "whole_val": whole_val}
    write_json(metrics, figures)
    of = f", a sample of {whole_train} and {whole_val} (judge.max_images is {max_images})" if sampled else ""
    print(f"arm: {arm.name} is {dataset}: {train} train and {val} val images{of}")


def _sizes(samples: pa.Table) -> tuple[int, int]:
    """Train and val images."""
    train = int(pc.sum(pc.equal(samples["split"], "train")).as_py())
    return train, len(samples) - train


SECTIONS: Sections = {"params": ("arm", Params), "max_images": ("judge.max_images", Count)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
