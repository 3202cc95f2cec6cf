"""Publish the last accepted dataset as the refined one, with people's overrides applied.

An image that an override keeps or relabels, and that a round dropped, comes back, in the place of a copy of its class.
The copies of an image that an override drops go with it, those of a relabelled one get its label.

Reads   --accepted   dataset with its ledger
        --prepared   dataset as prepared, which has the images that the rounds dropped
        --overrides  table: id, label that the image must have (null: it must be dropped), reason, by
        --round      name of the round whose dataset was accepted
Writes  --refined    the dataset; its ledger ends with a verdict for each override. Without overrides it is as accepted
"""

from pathlib import Path

import pyarrow.compute as pc

from winnow.dataset.images import write_dataset
from winnow.dataset.samples import read_samples
from winnow.pipeline.files import pass_on
from winnow.pipeline.messages import UserError
from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.final import apply_at_end, demand_classes, restored
from winnow.verdicts.ledger import LEDGER, VERDICT_SCHEMA, extend_ledger, read_ledger, write_ledger
from winnow.verdicts.overrides import read_overrides


def main(*, accepted: Path, prepared: Path, overrides: Path, round: str, refined: Path) -> None:
    """Run the stage on the datasets given."""
    said, left = read_overrides(overrides), read_samples(accepted)
    samples, verdicts = left, VERDICT_SCHEMA.empty_table()
    ledger = read_ledger(accepted) if said else read_ledger(accepted, ["id"])  # reasons and evidence are most of it
    if said:
        samples, verdicts = apply_at_end(left, read_samples(prepared), ledger, said, round_name=round)
    splits = pc.unique(samples["split"]).to_pylist()
    for split in ("train", "val"):
        if split not in splits:
            raise UserError(f"the overrides leave no {split} image beside those that the rounds dropped; take one back")
    demand_classes(left, samples)
    back = restored(left, samples)
    write_dataset(refined, samples, shards_from=[accepted, prepared] if back else [accepted])
    if said:
        write_ledger(refined, extend_ledger(ledger, [verdicts]))
    elif len(ledger):
        pass_on(accepted / LEDGER, refined / LEDGER)
    copies = samples.num_rows - samples["parent"].null_count
    end = f"; {len(verdicts)} overrides applied at the end, {back} images brought back" if len(verdicts) else ""
    print(f"refined: {samples.num_rows} images, {copies} of them augmented copies{end}")


SECTIONS: Sections = {}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
