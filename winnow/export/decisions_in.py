"""Decisions that people took in another tool, as rows of overrides.csv.

The tools' own modules read their files; here is what they have in common: the images that may be meant, the action by
which a label holds, and the sentences for what cannot be read.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from winnow.dataset.samples import class_names, only_source, only_splits
from winnow.pipeline.messages import UserError, plain, shown
from winnow.pipeline.spreadsheet import disarmed
from winnow.verdicts.decision_rows import HASH, DecisionRow, composed
from winnow.verdicts.decisions import Image, image_of, images_of, known_images
from winnow.verdicts.ledger import DROP, KEEP, RELABEL

MOST_BYTES = 1 << 30  # of a tool's file; 100,000 images have a tenth of it
T = TypeVar("T")


@dataclass(frozen=True)
class Images:
    """The train and val images that a decision may be about."""

    rows: Mapping[str, Mapping[str, Any]]  # by id: name, given_label, and text, by which a row names the image
    classes: Mapping[str, str]  # by name in composed form

    @classmethod
    def of(cls, prepared: pa.Table) -> "Images":
        """Those of a samples table, as delivered."""
        source = only_splits(only_source(prepared), "train", "val").select(["id", "name", "given_label"])
        names = class_names(prepared)
        known = known_images(images_of(prepared))
        rows = {row["id"]: {**row, "text": _text(row, known)} for row in source.to_pylist()}
        return cls(rows, {composed(name): name for name in names})

    def row(self, identifier: str, where: str) -> Mapping[str, Any]:
        """The image of an id.

        Raises:
            UserError: there is none.
        """
        if identifier not in self.rows:
            raise UserError(
                f"{where}: {shown(identifier)} is the id of no train or val image of this source; export the images "
                "of this run with `winnow export`, and decide on these"
            )
        return self.rows[identifier]

    def label(self, text: str, where: str) -> str:
        """The class that a text names.

        Raises:
            UserError: there is none.
        """
        for spelling in (text, text.strip()):
            if composed(spelling) in self.classes:
                return self.classes[composed(spelling)]
        known = list(map(shown, self.classes.values()))
        some = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
        raise UserError(f"{where}: {shown(text)} is no class of this source; choose one of {some}")


@dataclass
class Decided:
    """What a tool's file says."""

    rows: list[DecisionRow] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)  # what is no decision, and how often


def decision(row: Mapping[str, Any], label: str | None, **more: str) -> DecisionRow:
    """The row by which an image has a label.

    Args:
        row: of the image, as ``Images`` has it.
        label: its class; None: it is dropped.
        more: columns of the row.
    """
    action = DROP if label is None else KEEP if label == row["given_label"] else RELABEL
    return DecisionRow(0, row["text"], action, label or "" if action == RELABEL else "", **more)


def _text(row: Image, known: Mapping[str, Image]) -> str:
    """The image's name, by which it is found when its bytes change; its id where the name may mean another image."""
    name: str = row["name"]
    found = [image_of(text, known) for text in (name, disarmed(name))]
    return name if all(one is not None and one["id"] == row["id"] for one in found) else str(row["id"])


def checked_hash(text: str, where: str) -> str:
    """The hash of a picture, as it was exported, or nothing.

    Raises:
        UserError: it is none.
    """
    if text and not HASH.fullmatch(text):
        raise UserError(f"{where}: pixel_hash is no hash, got {shown(text)}; leave it as `winnow export` wrote it")
    return text


def read_foreign(file: Path, kind: Any, remedy: str, *, suffixes: Collection[str] = (".json",)) -> Any:
    """The JSON of a tool's file, checked.

    Args:
        file: as the person named it.
        kind: what pydantic shall make of it.
        remedy: what to do where the file is another.
        suffixes: that such a file may have; so that an image, named by mistake, is not read.

    Raises:
        UserError: it cannot be read, is too large, no JSON, or does not fit.
    """
    if file.suffix.lower() not in suffixes:
        raise UserError(f"{file} must be a file {' or '.join(suffixes)}; {remedy}")
    try:
        if not file.is_file():
            raise UserError(f"{file} is no file; {remedy}")
        if (size := file.stat().st_size) > MOST_BYTES:
            raise UserError(f"{file} has {size:,} bytes, {MOST_BYTES:,} are allowed; export fewer images at a time")
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); mend its permissions or name") from None
    try:
        return TypeAdapter(kind).validate_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        at = f" at {plain(place[:120])}" if place else ""
        raise UserError(f"{file} is not what was expected{at} ({shown(found['msg'])}); {remedy}") from None
