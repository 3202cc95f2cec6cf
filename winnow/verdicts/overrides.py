"""What people's overrides mean for the images: rulings, and how verdicts give way to them.

A ruling does not say what to do, but what must hold of an image. Where it holds, the image is kept, else put right; so
every stage of every round can carry out the same rulings, whatever the others did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import class_names, column
from winnow.verdicts.ledger import DROP, KEEP, RELABEL, Verdict

OVERRIDE = "override"  # the first word of the reason, in the verdicts that people gave


@dataclass(frozen=True)
class Ruling:
    """What must hold of one image."""

    label: str | None  # its class; None: it is gone
    reason: str

    def action_on(self, label: str) -> str:
        """What makes it hold of the image as it is now."""
        if self.label is None:
            return DROP
        return KEEP if self.label == label else RELABEL


def rulings_on(samples: pa.Table, rulings: Mapping[str, Ruling]) -> list[Ruling | None]:
    """(N,) the ruling on each sample; a copy has that on its source image."""
    roots = zip(samples["id"].to_pylist(), samples["parent"].to_pylist(), strict=True)
    return [rulings.get(parent or identifier) for identifier, parent in roots]


def removed(labels: Sequence[str] | npt.NDArray[np.str_], ruled: Sequence[Ruling | None]) -> npt.NDArray[np.bool_]:
    """(N,) whether the ruling takes the image away from the label: drops it, or gives it another."""
    return np.array(
        [ruling is not None and ruling.action_on(label) != KEEP for label, ruling in zip(labels, ruled, strict=True)],
        dtype=bool,
    )


def overruled(verdicts: Sequence[Verdict], samples: pa.Table, ruled: Sequence[Ruling | None]) -> list[Verdict]:
    """The verdicts with the rulings in their place, where there is one; the support stays as measured.

    Args:
        verdicts: (N,).
        samples: (N,) rows that they are on.
        ruled: (N,).
    """
    index = {name: position for position, name in enumerate(class_names(samples))}
    labels = column(samples, "label").tolist()
    return [
        verdict
        if ruling is None
        else Verdict(
            ruling.action_on(label),
            None if ruling.label is None else index[ruling.label],
            ruling.reason,
            verdict.support,
        )
        for verdict, label, ruling in zip(verdicts, labels, ruled, strict=True)
    ]


def is_override(reason: str) -> bool:
    """Whether a verdict's reason tells of a person's word."""
    return reason == OVERRIDE or reason.startswith((f"{OVERRIDE} by ", f"{OVERRIDE}: "))


def mention(rulings: Mapping[str, Ruling]) -> str:
    """The end of a stage's closing line."""
    return f"; {len(rulings)} overridden by people" if rulings else ""
