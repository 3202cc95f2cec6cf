"""An image of a queue and a decision on it, as the page has them."""

from typing import Any

from winnow.review.evidence import likely
from winnow.review.records import Image
from winnow.verdicts.decisions import Decision
from winnow.verdicts.ledger import RELABEL


def fixed(image: Image, why: str, sample: str) -> dict[str, Any]:
    """What does not change of an image of a queue.

    Args:
        image: of the queue.
        why: it has its place there.
        sample: what rows call it.
    """
    return {
        "id": image.id,
        "name": image.name,
        **({} if sample == image.name else {"sample": sample}),
        "hash": image.pixel_hash,
        "split": image.split,
        "given": image.given,
        "label": image.given,
        "why": why,
        "support": None if image.quality is None else round(image.quality, 3),
        "group": image.group,
        "likely": likely(image),
    }


def shown(decision: Decision | None) -> dict[str, Any] | None:
    """A decision as the page has it."""
    if decision is None:
        return None
    row = decision.row
    return {
        "action": row.action,
        "label": decision.label if row.action == RELABEL else None,
        "by": row.by or None,
        "time": row.time or None,
        "note": row.note,
    }
