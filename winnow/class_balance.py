"""Images a class before and after the refinement, and what became of the images delivered."""

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from winnow.dataset import class_names, only_splits


@dataclass(frozen=True)
class ClassCount:
    """Train and val images of one class."""

    label: str
    before: int
    source: int  # after: of the images delivered
    copies: int  # after: augmented ones


@dataclass(frozen=True)
class Outcome:
    """What became of the train and val images delivered; ``refined`` and ``copies`` count what there is now."""

    delivered: int
    dropped: int
    relabelled: int
    refined: int
    copies: int


def class_balance(prepared: pa.Table, refined: pa.Table) -> list[ClassCount]:
    """The counts of every class, in the order of the class indices; an emptied class stays.

    Args:
        prepared: samples as delivered.
        refined: samples as they are now.
    """
    sides = [only_splits(samples, "train", "val") for samples in (prepared, refined)]
    before = Counter(sides[0]["label"].to_pylist())
    after = Counter(zip(sides[1]["label"].to_pylist(), sides[1]["parent"].is_null().to_pylist(), strict=True))
    return [
        ClassCount(label, before[label], after[label, True], after[label, False]) for label in class_names(prepared)
    ]


def outcome(prepared: pa.Table, refined: pa.Table) -> Outcome:
    """The same tables, summed up."""
    sides = [only_splits(samples, "train", "val") for samples in (prepared, refined)]
    given, now = (dict(zip(side["id"].to_pylist(), side["label"].to_pylist(), strict=True)) for side in sides)
    return Outcome(
        delivered=len(given),
        dropped=sum(identifier not in now for identifier in given),
        relabelled=sum(now.get(identifier, label) != label for identifier, label in given.items()),
        refined=len(now),
        copies=len(now) - sides[1]["parent"].null_count,
    )
