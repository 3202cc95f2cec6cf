"""Train the ensemble anew on what the first verdict left, and by name contrastive encoders, for the embedding.

Without `retrain`, the networks of stage ensemble are taken as they are, which saves half of the time.

With a backbone, its features are the embedding, and the classifiers are heads on them, or the whole network where it is
not frozen.

Reads   --dataset   dataset: train, val and label book; of copies in it, each is in the fold of its source image
        --model     JSON: the model
        --pixels    arrays of the source images at its size
        --features  arrays of their features
        --user      folder with the user's own code and weights
        --networks  folder of ensemble
Writes  --encoders  folds.parquet (id, fold by repeat; -1 for the label book), and of each fold the classifier,
                    class-<repeat>-<fold>.safetensors, and by `space: contrast` the encoder,
                    space-<repeat>-<fold>.safetensors
Params  train_encoder, ensemble, head, finetune
"""

from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor

from winnow.dataset.samples import class_names, column, label_indices, only_source, only_splits, read_samples
from winnow.engine.jobs import run_jobs
from winnow.model.inputs import read_inputs
from winnow.pipeline.fields import Seed, section
from winnow.pipeline.files import fresh_folder, write_bytes
from winnow.pipeline.stage import Sections, run_stage
from winnow.representation.contrastive import Contrast, train_encoder
from winnow.representation.ensemble import Ensemble, Learning, by_repeat, deal_source, members_of, train_members
from winnow.representation.files import folds_by_id, with_folds, write_networks
from winnow.training.head import HeadProfile
from winnow.training.training import Profile

SOURCE_IMAGES = "cleanse_influence/dataset"


@section
class Params:
    """Section `train_encoder`."""

    seed: Seed
    retrain: bool  # false: the networks of stage ensemble stay, which learnt from what the first verdict dropped, too
    # Of the round, what the networks learn from; the second has the copies as well, as published.
    dataset: Literal["cleanse_influence/dataset", "augment/inverted"]
    # In the competition: classifier, what its last layer reads; contrast, encoders of their own, as published.
    space: Literal["classifier", "contrast"]
    contrast: Contrast

    def __post_init__(self) -> None:
        if not self.retrain and (self.space, self.dataset) != ("classifier", SOURCE_IMAGES):
            raise ValueError(
                f"retrain must be true for space: contrast, or for another dataset than {SOURCE_IMAGES}, got false"
            )


def main(
    params: Params,
    ensemble: Ensemble,
    head: HeadProfile,
    finetune: Profile,
    *,
    dataset: Path,
    model: Path,
    pixels: Path,
    features: Path,
    user: Path,
    networks: Path,
    encoders: Path,
) -> None:
    """Run the stage on the files given."""
    if not params.retrain:
        fresh_folder(encoders)
        for file in sorted(networks.iterdir()):
            write_bytes(encoders / file.name, file.read_bytes())
        print("train_encoder: the networks of stage ensemble are taken as they are")
        return
    inputs = read_inputs(model, pixels, features)
    samples = read_samples(dataset)
    learned = only_splits(samples, "train", "val", "label_book")
    source = only_source(learned)
    rng = np.random.default_rng(params.seed)
    folds = deal_source(source, ensemble, rng, dataset)  # (R, N)
    if params.dataset == SOURCE_IMAGES:
        learned = source
    _, dealt = with_folds(learned, folds_by_id(source, folds), encoders)  # (R, N)
    members = members_of(dealt, ensemble, rng)
    labels, book = label_indices(learned), column(learned, "split") == "label_book"  # (N,) each
    given, classes = inputs.trained_on(dataset, learned["id"].to_pylist()), len(class_names(samples))
    spaces: list[dict[str, Tensor]] = []
    if inputs.card.competition and params.space == "contrast":
        spaces = run_jobs(
            train_encoder,
            [(given, labels, one.members, params.contrast, one.seed) for one in members],
            steps=sum(params.contrast.training.epochs_on(int(one.members.sum())) for one in members),
            label="encoders: epochs",
        )
    learning = Learning(inputs.card, user, ensemble.network, head, finetune)
    classifiers = train_members(given, labels, book, members, classes, learning)
    by_kind = {"space": by_repeat(spaces, ensemble), "class": by_repeat(classifiers, ensemble)}
    write_networks(encoders, source, folds, by_kind)
    kinds = f"encoders ({params.contrast.loss} loss) and classifiers" if spaces else "classifiers"
    print(f"train_encoder: {len(members)} {kinds} on {len(learned)} images")


SECTIONS: Sections = {
    "params": ("train_encoder", Params),
    "ensemble": ("ensemble", Ensemble),
    "head": ("head", HeadProfile),
    "finetune": ("finetune", Profile),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
