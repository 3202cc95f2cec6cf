"""overrides.csv and decided.csv: people's decisions on train and val images, which take precedence over verdicts.

overrides.csv is applied at the end, to what the gate accepted; decided.csv, of the same form, before the first round.
``winnow.verdicts.decision_rows`` has the form. The last row about an image counts. Names and labels may have the
apostrophe before them that corrections.csv writes where a spreadsheet would see a formula. The hash of a row is the
column ``pixel_hash`` of data/prepared; a row whose hash is another applies all the same.
"""

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from winnow.dataset.samples import LEAST, class_names, read_samples
from winnow.pipeline.csv_rows import row_limit
from winnow.pipeline.messages import UserError, shown
from winnow.verdicts.decision_rows import DecisionRow, read_decision_rows
from winnow.verdicts.decisions import Decision, Image, images_of, resolve_decisions
from winnow.verdicts.overrides import Override

SPLITS = ("train", "val")
COMPARED = 256  # characters of a name that may be misspelt; the time to compare grows with their square


def read_overrides_csv(file: Path, prepared: Path) -> dict[str, Decision]:
    """The decisions of the file, by id.

    Args:
        file: overrides.csv or decided.csv.
        prepared: dataset as prepared, which still has the images that later ones dropped.

    Raises:
        UserError: ``read_decision_rows`` or ``resolve_overrides`` raises.
    """
    rows = read_decision_rows(file)
    if not rows:
        return {}
    samples = read_samples(prepared)
    if len(rows) > (most := row_limit(samples.num_rows)):
        raise UserError(f"{file} has {len(rows):,} rows, {most:,} are allowed; keep the rows of these images")
    return resolve_overrides(rows, samples, str(file))


def resolve_overrides(rows: Sequence[DecisionRow], samples: pa.Table, where: str) -> dict[str, Decision]:
    """The decisions of the rows, by id of the image, in the order of the table.

    Args:
        rows: of the file.
        samples: as prepared.
        where: the file as messages name it.

    Raises:
        UserError: a row names no train or val image or no class, or the rows leave a class fewer training images than
            it needs or the source no validation image; with the line and the remedy.
    """
    images = images_of(samples)

    def unknown(wanted: str, image: Image | None) -> str:
        return _not_overridable(wanted, image, images)

    found = resolve_decisions(rows, images, class_names(samples), where, splits=SPLITS, unknown=unknown)
    _reject_emptied(images, found, where)
    return found


def overrides_of(decisions: Mapping[str, Decision]) -> dict[str, Override]:
    """The decisions as stages apply them, by id."""
    return {identifier: one.override for identifier, one in decisions.items()}


def _not_overridable(wanted: str, row: Image | None, images: Sequence[Image]) -> str:
    if row is not None:
        return f"{shown(wanted)} is an image of the label book, which is trusted; delete the row, and mend the source"
    if wanted.strip().startswith("test/"):
        why = "is no train or val image of this source, and overrides do not change the test set"
        return f"{shown(wanted)} {why}; delete the row"
    names = [image["name"] for image in images if image["split"] in SPLITS]
    near = [name for name in names if name.endswith(f"/{wanted.strip()}")]
    split = wanted.strip().split("/")[0]
    if split in {name.split("/")[0] for name in names}:  # another split's image is another image
        names = [name for name in names if name.startswith(f"{split}/")]
    # A name that differs from others in its number alone is most likely not misspelt but an image of the test set.
    numbered = re.sub("[0-9]+", "0", wanted.strip())
    others = [name for name in names if re.sub("[0-9]+", "0", name) != numbered]
    if not near and len(others) == len(names) and len(wanted) <= COMPARED:
        near = difflib.get_close_matches(wanted.strip(), names, n=1)
    remedy = (
        f"did you mean {shown(near[0])}?"
        if near
        else "delete the row, or look the name up with `winnow why`: overrides do not change the test set"
    )
    return f"{shown(wanted)} is no train or val image of this source; {remedy}"


def _reject_emptied(images: Sequence[Image], found: Mapping[str, Decision], where: str) -> None:
    """Reject decisions that leave too few images to judge others by, to train a model, or to choose its epoch."""
    groups = {row["id"]: f"train {row['label']}" if row["split"] == "train" else row["split"] for row in images}
    before, left = Counter(groups.values()), Counter[str]()
    for row in images:
        decision = found.get(row["id"])
        label = decision.label if decision else row["label"]
        if label is not None:
            left[f"train {label}" if row["split"] == "train" else row["split"]] += 1
    for row in sorted((row for row in images if row["id"] in found), key=lambda row: -found[row["id"]].row.line):
        group = groups[row["id"]]
        if left[group] < min(LEAST[row["split"]], before[group]):  # a source that has fewer raises elsewhere
            of_class = f" of class {shown(row['label'])}" if row["split"] == "train" else ""
            raise UserError(
                f"{where}, line {found[row['id']].row.line}: leaves {left[group] or 'no'} {row['split']} "
                f"image{of_class}, {LEAST[row['split']]} must stay; delete the row, or add images to the source"
            )
