"""What stands beside an image in the review: verdicts, neighbours, trusted images that it harms, typical images."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from winnow.review.records import LABEL_BOOK, REFINE, TEST_SET, Image, Outcome, Records
from winnow.review.signals import Near

TYPICAL = 6  # images of a class
INFLUENCE = "cleanse_influence"  # the stage whose evidence are trusted images
HARMED = 8  # trusted images


class Evidence:
    """Of the images of a run."""

    def __init__(self, records: Records, nearest: Callable[[str], Near]) -> None:
        """Evidence.

        Args:
            records: of the run.
            nearest: neighbours of an image of train, val or label book that the round did not embed.
        """
        self._records, self._nearest = records, nearest
        self._typical = _typical(records)

    def of(self, image: Image, outcome: Outcome) -> dict[str, Any]:
        """As the page shows it: a test image has none but typical images of its class.

        Args:
            image: any.
            outcome: of the run now.
        """
        images = self._records.images
        verdicts = outcome.verdicts(image.id)
        # The evidence of the other stages are neighbours, which may be of the label book as well.
        harmed = dict.fromkeys(one for verdict in verdicts if verdict.stage == INFLUENCE for one in verdict.evidence)
        return {
            "verdicts": [
                {
                    "where": one.where,
                    "action": one.action,
                    "label": one.label_after,
                    "reason": one.reason,
                    "by": one.by,
                }
                for one in verdicts
            ],
            "neighbours": [
                {"id": one, "label": outcome.labels.get(one), "similarity": round(similarity, 4)}  # None: dropped
                for one, similarity in self._neighbours(image)
                if one in images
            ],
            "harmed": [
                {"id": one, "label": images[one].given}
                for one in harmed
                if one in images and images[one].task == LABEL_BOOK
            ][:HARMED],
            "typical": {label: self._typical_of(label, image, outcome) for label in self._compared(image, outcome)},
        }

    def _typical_of(self, label: str, image: Image, outcome: Outcome) -> list[str]:
        """Other images that still have the label: people may have dropped or relabelled what the pipeline kept."""
        found = (one for one in self._typical[label] if one != image.id and outcome.labels.get(one) == label)
        return list(islice(found, TYPICAL))

    def _neighbours(self, image: Image) -> Near:
        return () if image.task == TEST_SET else image.neighbours or self._nearest(image.id)

    def _compared(self, image: Image, outcome: Outcome) -> list[str]:
        """The labels of which typical images are shown: the one now, the one delivered, and the likely ones."""
        label = outcome.labels.get(image.id, image.given)
        named = [label, image.given, *(one["label"] for one in likely(image))]
        return list(dict.fromkeys(named))


def likely(image: Image) -> list[dict[str, Any]]:
    """The likeliest labels with their probabilities out of fold, the likeliest first; none where they are unknown."""
    ranked = () if image.first is None else image.first.likely
    return [{"label": name, "probability": round(value, 3)} for name, value in ranked]


def _typical(records: Records) -> Mapping[str, Sequence[str]]:
    """By class its images by the pipeline, the ensemble's surest first, out of fold; one of a near-duplicate group."""
    ranked: dict[str, list[tuple[float, Image]]] = {name: [] for name in records.classes}
    for one in records.images.values():
        if one.task == REFINE and one.piped is not None and one.first is not None:
            assert one.first.piped is not None  # as its label
            ranked[one.piped].append((one.first.piped, one))
    typical = {}
    for name, found in ranked.items():
        found.sort(key=lambda pair: (-pair[0], pair[1].id))
        alone = {one.group or one.id: one.id for _, one in reversed(found)}
        typical[name] = [one.id for _, one in found if alone[one.group or one.id] == one.id]
    return typical
