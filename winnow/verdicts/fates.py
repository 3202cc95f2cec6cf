"""What became of each image: its label as delivered and now, the verdicts on it, and the one that made it so.

Used by the report, the export, the comparison with the truth and the history commands.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from winnow.verdicts.ledger import DROP, KEEP, RELABEL, VerdictRow, verdict_rows


@dataclass(frozen=True)
class Fate:
    """What became of one image."""

    given: str  # the label as delivered
    label: str | None  # the label now; None when dropped
    verdicts: tuple[VerdictRow, ...] = ()  # on it, in order

    @property
    def touched(self) -> bool:
        """Dropped, or of another class than delivered."""
        return self.label != self.given

    @property
    def deciding(self) -> VerdictRow | None:
        """The last verdict that made it what it is now; later ones belong to a round that the gate rejected."""
        return self.last(self.label)

    @property
    def confirming(self) -> VerdictRow | None:
        """The last verdict that left it under the label that it has, a verdict to keep it included."""
        return _last(one for one in self.verdicts if one.action != DROP and one.label_after == self.label)

    @property
    def restoring(self) -> VerdictRow | None:
        """The verdict that brought it back: the first after the last that dropped it; None where none did."""
        drop = self.last(None)
        after = self.verdicts[self.verdicts.index(drop) + 1 :] if drop and self.label is not None else ()
        return next(iter(after), None)

    def last(self, label: str | None) -> VerdictRow | None:
        """The last verdict that gave the image a label, or, without a label, that dropped it."""
        if label is None:
            return _last(one for one in self.verdicts if one.action == DROP)
        return _last(one for one in self.verdicts if one.action == RELABEL and one.label_after == label)


def _last(verdicts: Iterable[VerdictRow]) -> VerdictRow | None:
    return next(reversed(list(verdicts)), None)


def fates(given: Mapping[str, str], ledger: pa.Table, now: Mapping[str, str] | None = None) -> dict[str, Fate]:
    """Each image's fate.

    Args:
        given: label before the first verdict, by id of every image queried.
        ledger: verdicts in order; rows about other ids are ignored.
        now: by id the label in a dataset, which lacks what was dropped; without it, the verdicts are taken as applied.
    """
    on = verdicts_on(ledger, given)
    left = {identifier: _left(label, on[identifier]) for identifier, label in given.items()} if now is None else now
    return {identifier: Fate(label, left.get(identifier), on[identifier]) for identifier, label in given.items()}


def verdicts_on(ledger: pa.Table, ids: Iterable[str]) -> dict[str, tuple[VerdictRow, ...]]:
    """The verdicts on some images, in order; none for an image without any."""
    found: dict[str, list[VerdictRow]] = {identifier: [] for identifier in ids}
    for row in verdict_rows(ledger.filter(pc.is_in(ledger["id"], pa.array(sorted(found), pa.string())))):
        found[row.id].append(row)
    return {identifier: tuple(rows) for identifier, rows in found.items()}


def _left(label: str, verdicts: Iterable[VerdictRow]) -> str | None:
    """The label after the verdicts; None when dropped. What was dropped comes back where a later verdict keeps it."""
    left: str | None = label
    for one in verdicts:
        if one.action != KEEP or left is None:
            left = None if one.action == DROP else one.label_after
    return left
