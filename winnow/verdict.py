"""What a cleansing does with one image."""

from dataclasses import dataclass

KEEP, DROP, RELABEL = "keep", "drop", "relabel"


@dataclass(frozen=True)
class Verdict:
    """What is done with one image."""

    action: str
    label: int | None  # afterwards; None when dropped
    reason: str
    support: float  # for its own label, in [0, 1]
