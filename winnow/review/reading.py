"""A file of decisions as it was read, what tells one state of it from another, and what its rows say."""

import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from winnow.pipeline.messages import UserError
from winnow.review.records import Image
from winnow.verdicts.decision_rows import DecisionRow
from winnow.verdicts.decisions import Decision


@dataclass
class State:
    """What was read of a file of decisions."""

    content: bytes = b""
    rows: dict[str, list[DecisionRow]] = field(default_factory=dict)  # by id
    decisions: dict[str, Decision] = field(default_factory=dict)  # by id
    unknown: int = 0  # rows that mean no image here


def sample_row(image: Image) -> dict[str, str]:
    """The image as a row of a samples table, of which decisions are resolved."""
    return {
        "id": image.id,
        "name": image.name,
        "split": image.split,
        "label": image.given,
        "given_label": image.given,
        "pixel_hash": image.pixel_hash,
    }


def cells(row: DecisionRow) -> DecisionRow:
    """A row as it is wherever it stands in the file."""
    return replace(row, line=0)


def without_apostrophes(row: DecisionRow) -> DecisionRow:
    """The row without the apostrophes that keep spreadsheets from running its texts, so that it can be written anew."""
    texts = (row.sample, row.label, row.by, row.note)
    sample, label, by, note = (text.removeprefix("'") for text in texts)
    return replace(row, sample=sample, label=label, by=by, note=note)


def words(row: DecisionRow) -> tuple[str, ...]:
    """What a row says, by whom and of which picture."""
    plain = without_apostrophes(row)
    return plain.action, plain.label, " ".join(plain.by.split()), " ".join(plain.note.split()), plain.hash


def key(decision: Decision | None) -> tuple[Any, ...] | None:
    """What tells one decision from another, wherever its row stands."""
    return None if decision is None else (cells(decision.row), decision.label)


def stamp(path: Path) -> tuple[int, ...] | None:
    """What tells one state of the file from another; None: it is not there.

    Raises:
        UserError: there is something that is no file.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):  # a pipe would wait for ever
        raise UserError(f"{path.name} is no file; remove it, and bring the file back with `git checkout {path.name}`")
    return found.st_ino, found.st_size, found.st_mtime_ns


def content(path: Path) -> bytes:
    """The bytes of the file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path.name} cannot be read ({error.strerror}); mend its permissions or name") from None
