"""Apply the decisions that a whole run takes as input, decided.csv, to the images as prepared: where round r1 starts.

Reads   --csv       decided.csv, of the form of overrides.csv
        --prepared  dataset as prepared, whose train and val images the rows name
Writes  --resolved  table: id, label that the image must have (null: it must be dropped), reason, by; the cleansing
                    stages and the gate read it, so that no rule overrules a person
        --decided   the dataset without the images that people dropped, with the labels that they gave; its ledger has
                    their decisions. Without any decision it is the dataset as prepared
"""

from pathlib import Path

from winnow.dataset.images import write_dataset
from winnow.dataset.samples import read_samples
from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.apply import with_overrides
from winnow.verdicts.decisions import stale_text
from winnow.verdicts.ledger import BEFORE, DECIDED, write_ledger
from winnow.verdicts.overrides import write_overrides
from winnow.verdicts.overrides_csv import overrides_of, read_overrides_csv


def main(*, csv: Path, prepared: Path, resolved: Path, decided: Path) -> None:
    """Run the stage on the files given."""
    decisions = read_overrides_csv(csv, prepared)
    overrides = overrides_of(decisions)
    write_overrides(resolved, overrides)
    samples, ledger = with_overrides(read_samples(prepared), overrides, round_name=BEFORE, stage=DECIDED)
    write_dataset(decided, samples, shards_from=[prepared])
    write_ledger(decided, ledger)
    print(f"decided: {len(decisions)} images decided on before the first round{stale_text(decisions)}")


SECTIONS: Sections = {}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS, edited_by_people=["csv"])
