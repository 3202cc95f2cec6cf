"""What became of each delivered image after a sequence of verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Fate:
    """Where an image stands after every verdict so far."""

    given: str  # the label as delivered
    label: str | None  # the label now; None when dropped

    @property
    def touched(self) -> bool:
        """Dropped, or of another class than delivered."""
        return self.label != self.given


def fates(given: Mapping[str, str], verdicts: Sequence[pa.Table]) -> dict[str, Fate]:
    """Each image's fate after the verdict tables, taken in order.

    Args:
        given: label as delivered, by id of every train and val image of the source.
        verdicts: tables of ``dataset.VERDICT_SCHEMA``; rows about other ids (augmented images) are passed over.
    """
    now: dict[str, str | None] = dict(given)
    for table in verdicts:
        columns = (table[name].to_pylist() for name in ("id", "action", "label_after"))
        for identifier, action, label in zip(*columns, strict=True):
            if identifier in now and action != "keep":
                now[identifier] = None if action == "drop" else label
    return {identifier: Fate(label, now[identifier]) for identifier, label in given.items()}
