"""Publish the last accepted dataset as the refined one.

Reads   --accepted  dataset with its ledger
Writes  --refined   the same
"""

from pathlib import Path

from winnow.dataset.images import write_dataset
from winnow.dataset.samples import read_samples
from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.ledger import read_ledger, write_ledger


def main(*, accepted: Path, refined: Path) -> None:
    """Run the stage on the dataset given."""
    samples = read_samples(accepted)
    write_dataset(refined, samples, shards_from=[accepted])
    write_ledger(refined, read_ledger(accepted))
    copies = samples.num_rows - samples["parent"].null_count
    print(f"refined: {samples.num_rows} images, {copies} of them augmented copies")


SECTIONS: Sections = {}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS)
