"""Pass on the train and val images of a dataset as an arm of the comparison, if they are within the judge's limits.

Reads   --dataset  dataset: train, val and others
        --model    JSON: the model; the limit is the competition's alone
Writes  --arm      dataset: train and val alone; the shards are passed on unchanged
Params  judge.max_images
"""

from pathlib import Path

from winnow.backbone.card import read_card
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import column, train_and_val
from winnow.pipeline.fields import Count
from winnow.pipeline.stage import Sections, run_stage


def main(max_images: int, *, dataset: Path, model: Path, arm: Path) -> None:
    """Run the stage on the dataset given."""
    samples = train_and_val(dataset, max_images=max_images if read_card(model).competition else None)
    splits = column(samples, "split")
    write_dataset(arm, samples, shards_from=[dataset])
    print(f"arm: {arm.name} is {dataset}: {(splits == 'train').sum()} train and {(splits == 'val').sum()} val images")


SECTIONS: Sections = {"max_images": ("judge.max_images", Count)}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
