"""Pass on the train and val images of a dataset as an arm of the comparison, if they are within the judge's limits.

Reads   --dataset  dataset: train, val and others
Writes  --arm      dataset: train and val alone; the shards are passed on unchanged
Params  judge.max_images
"""

from pathlib import Path

from winnow.dataset.images import write_dataset
from winnow.dataset.samples import column, only_splits, read_samples
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage


def main(max_images: int, *, dataset: Path, arm: Path) -> None:
    """Run the stage on the dataset given."""
    samples = only_splits(read_samples(dataset), "train", "val")
    splits = column(samples, "split")
    for split in ("train", "val"):
        if split not in splits:
            raise UserError(f"{dataset}: no {split} images are left, an arm needs some; cleanse less, or add images")
    if samples.num_rows > max_images:
        raise UserError(
            f"{dataset}: an arm may hold {max_images} images in train and val together (judge.max_images), "
            f"got {samples.num_rows}; augment less, or leave the arm out of compare.arms"
        )
    write_dataset(arm, samples, shards_from=[dataset])
    print(f"arm: {arm.name} is {dataset}: {(splits == 'train').sum()} train and {(splits == 'val').sum()} val images")


SECTIONS: Sections = {"max_images": ("judge.max_images", int)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
