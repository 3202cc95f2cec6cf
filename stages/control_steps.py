"""Make the fair controls of a round's first verdict and policy search: `make reproduce ARMS=all` alone.

Reads   --dataset         dataset as it came into the round
        --delivered       dataset that the first round started from, with what an earlier one dropped
        --scores          table: id, min (lowest removal effect, lower is worse), and others
        --cleansed        dataset that the first verdict left
        --verdicts        table of that cleansing, which says what people decided
        --policy          the found policy, the operations offered to the search, and the limits of each class
        --model           JSON: the model
        --pixels          arrays of the source images at its size
        --user            folder with the user's own code and weights
Writes  --influence-drop  the dataset without as many train and val images as the verdict dropped and relabelled, those
                          of the lowest removal effect; overrides, and the deal of validation images, as there
        --dealt           the images that the round judges, none of them dropped or relabelled, the deal of validation
                          images as there
        --random-chained  the cleansed dataset with the parents of stage augment copied as often, by a policy of the
                          found one's structure whose operations and magnitudes are drawn at random
Params  cleanse_influence.validation, cleanse_influence.seed, augment.seed, augment.budget, augment.multiple,
        augment.max_copies, augment.chained, judge.max_images
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from winnow.augmentation.balance import choose_parents, count_within, multiple_of_largest
from winnow.augmentation.controls import lowest_scored, random_policy
from winnow.augmentation.copying import Copying
from winnow.augmentation.policy_file import load_policy
from winnow.dataset.delivered import read_judged
from winnow.dataset.images import write_dataset, write_with_copies
from winnow.dataset.samples import (
    class_names,
    column,
    label_indices,
    only_source,
    only_splits,
    read_samples,
)
from winnow.dataset.validation import deal_validation
from winnow.model.copies import add_copy_features
from winnow.model.extraction import Extraction
from winnow.model.inputs import read_inputs
from winnow.pipeline.fields import Count, Few, Multiple, NoneOrFew, Seed
from winnow.pipeline.files import read_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.apply import apply_verdicts
from winnow.verdicts.ledger import KEEP, PIPELINE, VERDICT_SCHEMA

ORIGIN = "random_chained"


def main(
    validation: int,
    deal_seed: int,
    seed: int,
    budget: int,
    multiple: float,
    max_copies: int,
    chained: int,
    max_images: int,
    *,
    dataset: Path,
    delivered: Path,
    scores: Path,
    cleansed: Path,
    verdicts: Path,
    policy: Path,
    model: Path,
    pixels: Path,
    user: Path,
    influence_drop: Path,
    dealt: Path,
    random_chained: Path,
) -> None:
    """Run the stage on the files given."""
    samples = read_judged(dataset, delivered)
    said = read_table(verdicts, VERDICT_SCHEMA)
    left, gone, wanted = _without_lowest(samples, read_table(scores, columns=["id", "min"]), said)
    for folder, table in ((influence_drop, left), (dealt, samples)):
        table = deal_validation(table, per_class=validation, seed=deal_seed)
        write_dataset(folder, table, shards_from=[dataset, delivered])
    inputs, source = read_inputs(model, pixels, pixels), only_source(read_samples(cleansed))
    train = only_splits(source, "train")  # N rows
    if inputs.card.competition:
        per_class, most = count_within(source, budget=budget, max_images=max_images), None
    else:
        per_class, most = multiple_of_largest(source, multiple), max_copies
    # The first draw of stage augment, so that its parents are these.
    rng = np.random.default_rng(seed)
    parents = train.take(choose_parents(label_indices(train), per_class=per_class, rng=rng, most=most))
    own = np.random.default_rng([seed, *ORIGIN.encode()])
    copies = Copying(inputs, cleansed).by_policy(
        random_policy(load_policy(policy), own),
        ORIGIN,
        parents,
        chained=chained,
        inverting=np.zeros(len(parents), dtype=bool),
        generator=torch.Generator().manual_seed(int(own.integers(2**63))),
    )
    written = write_with_copies(random_chained, source, copies, shards_from=[cleansed])
    if not inputs.card.competition:
        add_copy_features(Extraction(inputs.card, user), "control_steps", {random_chained: written})
    print(
        f"control_steps: {gone} images dropped by influence, where the verdict touched {wanted}; {len(written)} copies "
        "by a random policy"
    )


def _without_lowest(samples: pa.Table, scores: pa.Table, verdicts: pa.Table) -> tuple[pa.Table, int, int]:
    """The samples after the overrides, without those of the lowest effect; how many these are, and were wanted.

    Args:
        samples: the source images that came in.
        scores: their lowest removal effects.
        verdicts: of the cleansing, whose changes are counted; what people decided is no part of the count.

    Raises:
        UserError: the tables are about other images.
    """
    by_rule = column(verdicts, "by") == PIPELINE
    free = set(verdicts.filter(pa.array(by_rule))["id"].to_pylist())
    effect = dict(zip(scores["id"].to_pylist(), scores["min"].to_pylist(), strict=True))
    if not free <= effect.keys() & set(samples["id"].to_pylist()):
        raise UserError("valuation, cleansing and dataset are about other images; run `dvc repro`")
    after = apply_verdicts(samples, verdicts.filter(pa.array(~by_rule)), class_names(samples))
    rows = [row for row in after.select(["id", "split", "label"]).to_pylist() if row["id"] in free]
    wanted = int((by_rule & (column(verdicts, "action") != KEEP)).sum())
    dropped = lowest_scored(
        [row["id"] for row in rows],
        np.array([effect[row["id"]] for row in rows]),
        [(row["split"], row["label"]) for row in rows],
        count=wanted,
    )
    gone = {row["id"] for row, drops in zip(rows, dropped.tolist(), strict=True) if drops}
    stays = [one not in gone for one in after["id"].to_pylist()]
    return after.filter(pa.array(stays, pa.bool_())), len(gone), wanted


SECTIONS: Sections = {
    "validation": ("cleanse_influence.validation", NoneOrFew),
    "deal_seed": ("cleanse_influence.seed", Seed),
    "seed": ("augment.seed", Seed),
    "budget": ("augment.budget", Count),
    "multiple": ("augment.multiple", Multiple),
    "max_copies": ("augment.max_copies", Few),
    "chained": ("augment.chained", Few),
    "max_images": ("judge.max_images", Count),
}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
