"""Resolve people's overrides of single images: overrides.csv, checked against the images of the source.

Reads   --csv       overrides.csv: sample, action, label, by, note
        --prepared  dataset as prepared, whose train and val images the rows name
Writes  --resolved  table: id, label that the image must have (null: it must be dropped), reason, by
"""

from pathlib import Path

from winnow.pipeline.stage import Sections, run_stage
from winnow.verdicts.overrides import write_overrides
from winnow.verdicts.overrides_csv import read_overrides_csv


def main(*, csv: Path, prepared: Path, resolved: Path) -> None:
    """Run the stage on the files given."""
    overrides = read_overrides_csv(csv, prepared)
    write_overrides(resolved, overrides)
    print(f"overrides: {len(overrides)} images overridden")


SECTIONS: Sections = {}

if __name__ == "__main__":
    run_stage(main, __doc__, SECTIONS, edited_by_people=["csv"])
