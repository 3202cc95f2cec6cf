"""overrides.csv, read and checked: people's decisions on single images. An override takes precedence over verdicts.

Columns sample, action, label, by, note. ``sample`` is an id, or a name inside the source, of a train or val image as
prepared; ``action`` is keep, drop or relabel; ``label`` is the class of a relabelled image and empty otherwise; ``by``
and ``note`` become part of the verdict's reason. Names and labels are compared in Unicode's composed form (NFC), and
may have the apostrophe before them that corrections.csv writes where a spreadsheet would see a formula.
"""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from winnow.dataset.samples import LEAST, class_names, read_samples
from winnow.pipeline.csv_rows import csv_rows, row_limit
from winnow.pipeline.messages import UserError, shown
from winnow.pipeline.spreadsheet import spellings
from winnow.verdicts.ledger import DROP, KEEP, PIPELINE, RELABEL
from winnow.verdicts.overrides import Override

HEADER = ("sample", "action", "label", "by", "note")
ACTIONS = (KEEP, DROP, RELABEL)
UNNAMED = "unnamed"  # `by` of an override that names nobody
CLASSES_SHOWN = 10  # that a message names
COMPARED = 256  # characters of a name that may be misspelt; the time to compare grows with their square
MOST_ROWS = 1_000_000  # where the number of images is not known yet


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """One row, as written."""

    line: int  # of the file, on which the row begins
    sample: str  # id or name
    action: str
    label: str  # empty unless the action is relabel
    by: str
    note: str

    @property
    def reason(self) -> str:
        """Of the verdict that applies it."""
        by = f" by {self.by}" if self.by else ""
        return f"override{by}{': ' if self.note else ''}{self.note}"


# --- read -------------------------------------------------------------------------------------------------------


def read_override_rows(file: Path, *, most: int = MOST_ROWS) -> list[OverrideRow]:
    """The rows of the file.

    Args:
        file: overrides.csv.
        most: rows allowed.

    Raises:
        UserError: the file is missing or cannot be read, or ``parse_override_rows`` raises.
    """
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):  # a pipe would wait for ever
            raise UserError(f"{file} is no file; `git checkout {file}` or `make run` brings it back")
        with file.open("rb") as opened:
            return parse_override_rows(opened, str(file), most=most)
    except FileNotFoundError:
        raise UserError(f"{file} is missing; `git checkout {file}` or `make run` brings it back") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); mend its permissions or name") from None


def parse_override_rows(file: BinaryIO, where: str, *, most: int = MOST_ROWS) -> list[OverrideRow]:
    """The rows in file order, each valid by itself; empty ones are skipped.

    Args:
        file: CSV in UTF-8 with commas, as people and spreadsheet programs write it; read one row at a time.
        where: the file as messages name it.
        most: rows allowed.

    Raises:
        UserError: no such CSV, too many rows, or an invalid row; with the line and the remedy.
    """

    def reject_merge_mark(number: int, line: str) -> None:
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            raise UserError(f"{where}, line {number}: a merge conflict; keep the rows you want, delete the marks")

    rows = _rows(csv_rows(file, where, most=most, look=reject_merge_mark))
    line, header = next(rows, (1, []))
    if tuple(cell.strip().lower() for cell in header) != HEADER:
        raise UserError(
            f"{where}, line {line}: the columns must be {','.join(HEADER)}, got {shown(','.join(header))}; "
            "name them so, with commas between them"
        )
    return [_override(cells, f"{where}, line {line}", line) for line, cells in rows]


def _rows(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, in composed form without empty cells at the end."""
    for line, cells in rows:
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield line, [_composed(cell) for cell in cells]


def _override(cells: list[str], place: str, line: int) -> OverrideRow:
    if len(cells) > len(HEADER):
        raise UserError(
            f"{place}: {len(cells)} cells for {len(HEADER)} columns; put a cell that holds a comma into quotes"
        )
    sample, action, label, by, note = cells + [""] * (len(HEADER) - len(cells))
    action = action.strip().lower()
    if not sample.strip():
        raise UserError(f"{place}: no image is named; write its id, or its name inside the source")
    if action not in ACTIONS:
        raise UserError(f"{place}: the action must be one of {', '.join(ACTIONS)}, got {shown(action)}; write one")
    if action == RELABEL and not label.strip():
        raise UserError(f"{place}: relabel needs a label; write the class that the image belongs to")
    if action != RELABEL and label.strip():
        raise UserError(f"{place}: {action} takes no label, got {shown(label)}; leave it empty, or write relabel")
    if by.strip() == PIPELINE:
        raise UserError(f"{place}: by must name a person, got {PIPELINE}, which signs the pipeline's own verdicts")
    return OverrideRow(line, sample, action, label, " ".join(by.split()), " ".join(note.split()))


# --- check ------------------------------------------------------------------------------------------------------


def read_overrides_csv(file: Path, prepared: Path) -> dict[str, Override]:
    """The overrides of the file, by id.

    Args:
        file: overrides.csv.
        prepared: dataset as prepared, which still has the images that later ones dropped.

    Raises:
        UserError: ``read_override_rows`` or ``resolve_overrides`` raises.
    """
    rows = read_override_rows(file)
    if not rows:
        return {}
    samples = read_samples(prepared)
    if len(rows) > (most := row_limit(samples.num_rows)):
        raise UserError(f"{file} has {len(rows):,} rows, {most:,} are allowed; keep the rows of these images")
    return resolve_overrides(rows, samples, str(file))


def resolve_overrides(rows: Sequence[OverrideRow], samples: pa.Table, where: str) -> dict[str, Override]:
    """The overrides of the rows, by id of the image.

    Two rows may agree about an image; the first one counts.

    Args:
        rows: of the file.
        samples: as prepared.
        where: the file as messages name it.

    Raises:
        UserError: a row names no train or val image or no class, contradicts another, or leaves a class fewer
            training images than it needs or the source no validation image; with the line and the remedy.
    """
    images = samples.select(["id", "name", "split", "label", "given_label"]).to_pylist()
    # A name holds a slash and an id does not, so that they cannot be confused.
    known = {_composed(row["name"]): row for row in images} | {row["id"]: row for row in images}
    classes = {_composed(name): name for name in class_names(samples)}
    found: dict[str, Override] = {}
    lines: dict[str, int] = {}
    for one in rows:
        place = f"{where}, line {one.line}"
        row = next((known[name] for name in spellings(one.sample) if name in known), None)
        if row is None or row["split"] not in ("train", "val"):
            raise UserError(f"{place}: {_not_overridable(one.sample, row, images)}")
        label = None
        if one.action != DROP:
            label = row["given_label"] if one.action == KEEP else _class(one.label, classes, place)
        override = found.setdefault(row["id"], Override(label, one.reason, one.by or UNNAMED))
        if override.label != label:
            raise UserError(
                f"{place}: contradicts line {lines[row['id']]} about {shown(row['name'])}; delete one of the two rows"
            )
        lines.setdefault(row["id"], one.line)
    _reject_emptied(images, found, lines, where)
    return found


def _not_overridable(wanted: str, row: Mapping[str, Any] | None, images: Sequence[Mapping[str, Any]]) -> str:
    if row is not None:
        return f"{shown(wanted)} is an image of the label book, which is trusted; delete the row, and mend the source"
    if wanted.strip().startswith("test/"):
        why = "is no train or val image of this source, and overrides do not change the test set"
        return f"{shown(wanted)} {why}; delete the row"
    names = [image["name"] for image in images if image["split"] in ("train", "val")]
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


def _class(label: str, classes: Mapping[str, str], place: str) -> str:
    for name in spellings(label):
        if name in classes:
            return classes[name]
    names = list(map(shown, classes))
    more = f" and {len(names) - CLASSES_SHOWN} more" if len(names) > CLASSES_SHOWN else ""
    raise UserError(
        f"{place}: {shown(label)} is no class of this source; write one of {', '.join(names[:CLASSES_SHOWN])}{more}"
    )


def _reject_emptied(
    images: Sequence[Mapping[str, Any]], found: Mapping[str, Override], lines: Mapping[str, int], where: str
) -> None:
    """Reject overrides that leave too few images to judge others by, to train a model, or to choose its epoch."""
    groups = {row["id"]: f"train {row['label']}" if row["split"] == "train" else row["split"] for row in images}
    before, left = Counter(groups.values()), Counter[str]()
    for row in images:
        override = found.get(row["id"])
        label = override.label if override else row["label"]
        if label is not None:
            left[f"train {label}" if row["split"] == "train" else row["split"]] += 1
    for row in sorted((row for row in images if row["id"] in found), key=lambda row: -lines[row["id"]]):
        group = groups[row["id"]]
        if left[group] < min(LEAST[row["split"]], before[group]):  # a source that has fewer raises elsewhere
            of_class = f" of class {shown(row['label'])}" if row["split"] == "train" else ""
            raise UserError(
                f"{where}, line {lines[row['id']]}: leaves {left[group] or 'no'} {row['split']} image{of_class}, "
                f"{LEAST[row['split']]} must stay; delete the row, or add images to the source"
            )


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
