"""The rows of overrides.csv, decided.csv and checked.csv: people's decisions on single images, read and checked.

Columns sample, action, label, by, note and, where a program wrote the row, time and hash. ``sample`` is an id, or a
name inside the source. ``action`` is keep, drop, relabel or undo, which takes the decision back; ``label`` is the class
of a relabelled image and empty otherwise. ``time`` is ISO 8601 in UTC. ``hash`` is the ``pixel_hash`` that the samples
table had for the image when the person saw it.

A file that git merged by lines may have its header twice, in the older form and in the newer one: every header after
the first is passed over, and a row may have time and hash whichever header is above it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from winnow.pipeline.csv_rows import csv_rows
from winnow.pipeline.messages import UserError, shown
from winnow.verdicts.ledger import DROP, KEEP, PIPELINE, RELABEL

UNDO = "undo"
ACTIONS = (KEEP, DROP, RELABEL, UNDO)
WRITTEN = ("sample", "action", "label", "by", "note")  # the columns of a file that people wrote by hand
HEADER = (*WRITTEN, "time", "hash")
HEADERS = (WRITTEN, (*WRITTEN, "time"), HEADER)
UNNAMED = "unnamed"  # `by` of a decision that names nobody
HASH = re.compile("[0-9a-f]{16,64}")
MOST_ROWS = 1_000_000  # where the number of images is not known yet


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One row, as written."""

    line: int  # of the file, on which the row begins
    sample: str  # id or name
    action: str
    label: str = ""  # empty unless the action is relabel
    by: str = ""
    note: str = ""
    time: str = ""  # ISO 8601, or empty
    hash: str = ""  # of the picture that the person saw, or empty

    @property
    def reason(self) -> str:
        """Of the verdict that applies it."""
        by = f" by {self.by}" if self.by else ""
        return f"override{by}{': ' if self.note else ''}{self.note}"

    @property
    def moment(self) -> datetime | None:
        """The time; None where the row has none."""
        return moment(self.time) if self.time else None


def moment(text: str) -> datetime:
    """A time as a row has it; one without a zone is in UTC.

    Raises:
        ValueError: it is none.
    """
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def last_of(rows: Iterable[DecisionRow]) -> DecisionRow:
    """Of the rows about one sample, in file order, the one that counts.

    Of rows with a time, that is the latest. A row without one counts over it only where it stands further down.

    Args:
        rows: at least one.
    """
    last: DecisionRow | None = None  # of those with a time
    untimed: DecisionRow | None = None  # below it
    for row in rows:
        if row.moment is None:
            untimed = row
        elif last is None or last.moment is None or row.moment >= last.moment:
            last, untimed = row, None
    found = untimed or last
    assert found is not None
    return found


# --- read -------------------------------------------------------------------------------------------------------


def read_decision_rows(file: Path, *, most: int = MOST_ROWS) -> list[DecisionRow]:
    """The rows of a file.

    Args:
        file: overrides.csv, decided.csv or checked.csv.
        most: rows allowed.

    Raises:
        UserError: the file is missing or cannot be read, or ``parse_decision_rows`` raises.
    """
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):  # a pipe would wait for ever
            raise UserError(f"{file} is no file; `git checkout {file}` or `make run` brings it back")
        with file.open("rb") as opened:
            return parse_decision_rows(opened, str(file), most=most)
    except FileNotFoundError:
        raise UserError(f"{file} is missing; `git checkout {file}` or `make run` brings it back") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); mend its permissions or name") from None


def parse_decision_rows(file: BinaryIO, where: str, *, most: int = MOST_ROWS) -> list[DecisionRow]:
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
    if not is_header(header):
        raise UserError(
            f"{where}, line {line}: the columns must be {','.join(WRITTEN)}, got {shown(','.join(header))}; "
            "name them so, with commas between them"
        )
    return [_decision(cells, f"{where}, line {line}", line) for line, cells in rows if not is_header(cells)]


def is_header(cells: Sequence[str]) -> bool:
    """Whether a row names the columns, in any of their forms."""
    return tuple(cell.strip().lower() for cell in cells) in HEADERS


def composed(text: str) -> str:
    """A text in Unicode's composed form, in which names and labels are compared."""
    return unicodedata.normalize("NFC", text)


def _rows(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, in composed form without empty cells at the end."""
    for line, cells in rows:
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield line, [composed(cell) for cell in cells]


def _decision(cells: list[str], place: str, line: int) -> DecisionRow:
    sample, action, label, by, note, *more = cells + [""] * (len(WRITTEN) - len(cells))
    if len(cells) > len(HEADER) or not _written_by_a_program(more):
        raise UserError(
            f"{place}: {len(cells)} cells for {len(WRITTEN)} columns, and what follows is no time and hash; put a cell "
            "that holds a comma into quotes"
        )
    time, digest = (cell.strip() for cell in more + [""] * (2 - len(more)))
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
    return DecisionRow(line, sample, action, label, " ".join(by.split()), " ".join(note.split()), time, digest.lower())


def _written_by_a_program(cells: Sequence[str]) -> bool:
    """Whether the cells after the note are a time and a hash, or empty."""
    time, digest = (cell.strip() for cell in [*cells, "", ""][:2])
    try:
        return (not time or bool(moment(time))) and (not digest or bool(HASH.fullmatch(digest.lower())))
    except (ValueError, OverflowError):
        return False
