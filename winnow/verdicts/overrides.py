"""What people's overrides mean for the images, and how they replace verdicts.

An override does not name an action but what must hold of an image. Where it holds, the image is kept, else dropped or
relabelled; so every stage of every round can apply the same overrides, whatever the others did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import class_names, column
from winnow.pipeline.files import Columns, read_table, write_table
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

OVERRIDES: Columns = {
    "id": (pa.string(), "of a train or val image"),
    "label": (pa.string(), "class that the image must have; null: it must be dropped"),
    "reason": (pa.string(), "as verdicts give it"),
    "by": (pa.string(), "who gave the override"),
}
OVERRIDES_SCHEMA = pa.schema([pa.field(name, kind, nullable=name == "label") for name, (kind, _) in OVERRIDES.items()])


@dataclass(frozen=True)
class Override:
    """What must hold of one image."""

    label: str | None  # its class; None: it is dropped
    reason: str
    by: str  # who gave the override

    def action_on(self, label: str) -> str:
        """The action by which it holds of an image that now has this label."""
        if self.label is None:
            return DROP
        return KEEP if self.label == label else RELABEL


def write_overrides(path: Path, overrides: Mapping[str, Override]) -> None:
    """Write the overrides by id of the image, in the order given."""
    rows = [{"id": key, **vars(one)} for key, one in overrides.items()]
    write_table(path, pa.Table.from_pylist(rows, schema=OVERRIDES_SCHEMA))


def read_overrides(path: Path) -> dict[str, Override]:
    """The overrides by id of the image, as the stage ``overrides`` resolved them.

    Raises:
        UserError: the table is missing or damaged.
    """
    rows = read_table(path, OVERRIDES_SCHEMA).to_pylist()
    return {row["id"]: Override(row["label"], row["reason"], row["by"]) for row in rows}


def overrides_on(samples: pa.Table, overrides: Mapping[str, Override]) -> list[Override | None]:
    """(N,) the override of each sample; a copy has that of its source image."""
    roots = zip(samples["id"].to_pylist(), samples["parent"].to_pylist(), strict=True)
    return [overrides.get(parent or identifier) for identifier, parent in roots]


def taken_away(
    labels: Sequence[str] | npt.NDArray[np.str_], overridden: Sequence[Override | None]
) -> npt.NDArray[np.bool_]:
    """(N,) whether the override drops the image or gives it another label."""
    pairs = zip(labels, overridden, strict=True)
    return np.array([one is not None and one.action_on(label) != KEEP for label, one in pairs], dtype=bool)


def apply_overrides(
    verdicts: Sequence[Verdict], samples: pa.Table, overridden: Sequence[Override | None]
) -> list[Verdict]:
    """The verdicts, replaced by the override where there is one; the support stays as measured.

    Args:
        verdicts: (N,).
        samples: (N,) rows that they are on.
        overridden: (N,).
    """
    index = {name: position for position, name in enumerate(class_names(samples))}
    labels = column(samples, "label").tolist()
    return [
        verdict
        if one is None
        else Verdict(
            one.action_on(label), None if one.label is None else index[one.label], one.reason, verdict.support, one.by
        )
        for verdict, label, one in zip(verdicts, labels, overridden, strict=True)
    ]


def count_text(overrides: Mapping[str, Override]) -> str:
    """The end of a stage's closing line."""
    return f"; {len(overrides)} overridden by people" if overrides else ""
