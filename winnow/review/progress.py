"""How far a task is, and the faults found in it, by the decisions on its images as they are now."""

from collections.abc import Iterable, Mapping
from typing import Any

from winnow.review.estimate import count_faults, estimate_faults
from winnow.review.queue import Queue
from winnow.review.records import LABEL_BOOK, Image
from winnow.verdicts.decisions import Decision


def decided(ids: Iterable[str], decisions: Mapping[str, Decision]) -> frozenset[str]:
    """Those of the images that were decided on as they are; what was decided on another picture is to be decided again.

    Args:
        ids: of the images.
        decisions: by id.
    """
    return frozenset(one for one in ids if one in decisions and not decisions[one].stale)


def progress(task: str, queue: Queue, decisions: Mapping[str, Decision], images: Mapping[str, Image]) -> dict[str, Any]:
    """How many images of a task were decided on, and the share of faults by its sample, as the page shows both.

    Args:
        task: its name.
        queue: of the task.
        decisions: by id.
        images: by id.
    """
    faults = {one: decisions[one].label != images[one].piped for one in decided(queue.sample, decisions)}
    # The label book is asked about in the order of doubt: what was seen of it is no random sample.
    estimated = count_faults if task == LABEL_BOOK else estimate_faults
    return {
        "decided": len(decided((place.id for place in queue.places), decisions)),
        "estimate": estimated(queue.sample, faults).figures(),
    }
