"""checked.csv: what people said of label-book and test images. It changes no data.

It has the form of overrides.csv. Who has looked at a label-book or test image keeps it, or says which class it shows,
or that it shows none; so the file says how far the label book and the test set can be trusted.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from winnow.dataset.samples import class_names, only_splits, read_samples
from winnow.pipeline.csv_rows import row_limit
from winnow.pipeline.messages import UserError, shown
from winnow.pipeline.spreadsheet import spellings
from winnow.verdicts.decision_rows import DecisionRow, composed, read_decision_rows
from winnow.verdicts.decisions import Decision, Image, images_of, resolve_decisions

SPLITS = ("label_book", "test")


def read_checked_csv(file: Path, prepared: Path, test: Path) -> dict[str, Decision]:
    """What people said of label-book and test images, by id.

    Args:
        file: checked.csv.
        prepared: dataset as prepared, which has the label book.
        test: dataset of the test images.

    Raises:
        UserError: the file cannot be read, or a row means no such image or no class; with the line and the remedy.
    """
    rows = read_decision_rows(file)
    if not rows:
        return {}
    samples = read_samples(prepared)
    images = [*images_of(samples), *images_of(read_samples(test))]
    if len(rows) > (most := row_limit(len(images))):
        raise UserError(f"{file} has {len(rows):,} rows, {most:,} are allowed; keep the rows of these images")
    return resolve_checked(rows, images, class_names(samples), str(file))


def label_book_checks(file: Path, prepared: pa.Table) -> dict[str, bool]:
    """By id of the label-book images that people looked at, whether they left them under their label.

    Args:
        file: checked.csv; rows about other images, those of the test set, are passed over.
        prepared: samples as prepared.

    Raises:
        UserError: the file cannot be read, or a row names no class; with the line and the remedy.
    """
    book = images_of(only_splits(prepared, "label_book"))
    known = {composed(image[key]) for image in book for key in ("id", "name")}
    rows = [row for row in read_decision_rows(file) if known & set(spellings(row.sample))]
    found = resolve_checked(rows, book, class_names(prepared), str(file))
    given = {image["id"]: image["label"] for image in book}
    return {identifier: one.label == given[identifier] for identifier, one in found.items()}


def resolve_checked(
    rows: Sequence[DecisionRow], images: Sequence[Image], classes: Sequence[str], where: str
) -> dict[str, Decision]:
    """What the rows say of label-book and test images, by id.

    Args:
        rows: of the file.
        images: of all splits.
        classes: names of the source's classes.
        where: the file as messages name it.

    Raises:
        UserError: a row means no such image or no class; with the line and the remedy.
    """
    return resolve_decisions(rows, images, classes, where, splits=SPLITS, unknown=_not_checked)


def _not_checked(wanted: str, row: Mapping[str, object] | None) -> str:
    if row is not None:
        return f"{shown(wanted)} is a {row['split']} image; put the row into overrides.csv"
    return f"{shown(wanted)} is no label-book or test image of this source; delete the row"
