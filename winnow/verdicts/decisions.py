"""What the rows of a file of decisions say of the images: which image each means, and which row counts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from winnow.pipeline.messages import UserError, shown
from winnow.pipeline.spreadsheet import spellings
from winnow.verdicts.decision_rows import UNDO, UNNAMED, DecisionRow, composed, last_of
from winnow.verdicts.ledger import DROP, KEEP
from winnow.verdicts.overrides import Override

CLASSES_SHOWN = 10  # that a message names
COLUMNS = ["id", "name", "split", "label", "given_label", "pixel_hash"]  # of a samples table, read here

Image = Mapping[str, Any]  # a row of a samples table with these columns


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided on one image: the row that counts."""

    row: DecisionRow
    label: str | None  # class that the image must have; None: it must be dropped
    stale: bool  # the image is another picture now than the one that the person saw

    @property
    def override(self) -> Override:
        """As stages apply it."""
        return Override(self.label, self.row.reason, self.row.by or UNNAMED)


def images_of(samples: pa.Table) -> list[Image]:
    """The rows of a samples table, with the columns that decisions need."""
    rows: list[Image] = samples.select(COLUMNS).to_pylist()
    return rows


def known_images(images: Iterable[Image]) -> dict[str, Image]:
    """The images by every text that may name them: a name holds a slash and an id does not, so none is two."""
    every = list(images)
    return {composed(row["name"]): row for row in every} | {row["id"]: row for row in every}


def image_of(sample: str, known: Mapping[str, Image]) -> Image | None:
    """The image that a row means, by the text that names it; None: there is none."""
    return next((known[name] for name in spellings(sample) if name in known), None)


def meant(row: DecisionRow, known: Mapping[str, Image]) -> str:
    """The id of the image that a row means; the text that names it, where there is no such image."""
    image = image_of(row.sample, known)
    return row.sample.strip() if image is None else str(image["id"])


def resolve_decisions(
    rows: Sequence[DecisionRow],
    images: Sequence[Image],
    classes: Iterable[str],
    where: str,
    *,
    splits: Sequence[str],
    unknown: Callable[[str, Image | None], str],
) -> dict[str, Decision]:
    """The decision on each image, by id, in the order of the images; none where the last row takes it back.

    A row that is not the last one about its image, or that was taken back, only has to be about an image of the splits;
    one that was taken back under the same name need not even be that.

    Args:
        rows: of the file.
        images: that may be meant, and others, about which ``unknown`` can tell more.
        classes: names that a relabelled image may be given.
        where: the file as messages name it.
        splits: of the images that may be decided on.
        unknown: the rest of the message about a row that means no such image, from its text and the image, if any.

    Raises:
        UserError: a row means no such image, or no class; with the line and the remedy.
    """
    known = known_images(images)
    names = {composed(name): name for name in classes}
    about: dict[str, list[DecisionRow]] = {}
    lost: list[DecisionRow] = []
    for one in rows:
        row = image_of(one.sample, known)
        if row is None or row["split"] not in splits:
            lost.append(one)
        else:
            about.setdefault(row["id"], []).append(one)
    for one in _standing(lost):
        raise UserError(f"{where}, line {one.line}: {unknown(one.sample, image_of(one.sample, known))}")
    found = {}
    for row in images:
        if row["id"] in about and (last := last_of(about[row["id"]])).action != UNDO:
            label = _label(last, row, names, f"{where}, line {last.line}")
            found[row["id"]] = Decision(last, label, bool(last.hash) and last.hash != row["pixel_hash"])
    return found


def stale_text(decisions: Mapping[str, Decision]) -> str:
    """The end of a stage's closing line: how many decisions were on another picture than the image is now."""
    count = sum(one.stale for one in decisions.values())
    return f"; {count} of them on another picture than the image is now (hash), to be looked at again" if count else ""


def _standing(rows: Sequence[DecisionRow]) -> list[DecisionRow]:
    """In file order, the row that counts about each text, where it was not taken back."""
    named = sorted(rows, key=lambda row: (row.sample.strip(), row.line))
    last = [last_of(group) for _, group in groupby(named, key=lambda row: row.sample.strip())]
    return sorted((row for row in last if row.action != UNDO), key=lambda row: row.line)


def _label(row: DecisionRow, image: Image, names: Mapping[str, str], place: str) -> str | None:
    if row.action == DROP:
        return None
    if row.action == KEEP:
        given: str = image["given_label"]
        return given
    for name in spellings(row.label):
        if name in names:
            return names[name]
    known = list(map(shown, names))
    more = f" and {len(known) - CLASSES_SHOWN} more" if len(known) > CLASSES_SHOWN else ""
    raise UserError(
        f"{place}: {shown(row.label)} is no class of this source; write one of {', '.join(known[:CLASSES_SHOWN])}{more}"
    )
