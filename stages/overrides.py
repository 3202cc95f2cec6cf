"""Resolve people's overrides of single images: overrides.csv, checked against the images of the source.

Reads   --csv       overrides.csv: sample, action, label, by, note, and time and hash where a program wrote the row
        --prepared  dataset as prepared, whose train and val images the rows name
Writes  --resolved  table: id, label that the image must have (null: it must be dropped), reason, by
"""

from pathlib import Path

from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.decisions import stale_text
from winnow.verdicts.overrides import write_overrides
from winnow.verdicts.overrides_csv import overrides_of, read_overrides_csv


def main(*, csv: Path, prepared: Path, resolved: Path) -> None:
    """Run the stage on the files given."""
    decisions = read_overrides_csv(csv, prepared)
    write_overrides(resolved, overrides_of(decisions))
    print(f"overrides: {len(decisions)} images overridden{stale_text(decisions)}")


SECTIONS: Sections = {}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS, edited_by_people=["csv"])
