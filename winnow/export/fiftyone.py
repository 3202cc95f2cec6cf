"""The judged images as a dataset on disk that FiftyOne imports, with predictions, tags and one field a figure.

Of FiftyOne's formats, FiftyOneDataset is the one that carries more than one label field, and tags. It is written in
the form that needs no database's identifiers: metadata.json without a version, which FiftyOne imports by
``LegacyFiftyOneDatasetImporter``, and samples.json with the samples as ``Sample.to_dict`` has them.

Sources: https://docs.voxel51.com/user_guide/import_datasets.html#fiftyonedataset, and fiftyone/utils/data/importers.py.
"""

from collections.abc import Sequence
from typing import Any

from winnow.export.judged import Judged
from winnow.verdicts.ledger import KEEP

METADATA, SAMPLES = "metadata.json", "samples.json"

FIFTYONE = {  # field of a sample in samples.json: meaning
    "filepath": "path of the image from the folder of samples.json",
    "tags": "train or val; `winnow_drop`, `winnow_relabel`: what Winnow did. Yours: `drop`, `keep`, `undo`",
    "metadata": "null; FiftyOne works it out",
    "ground_truth": "Classification: class now, or as delivered where the image was dropped. Correct it here",
    "given_label": "Classification: class as delivered",
    "prediction": "Classification: the likeliest class by the ensemble, out of fold, with its confidence; or null",
    "winnow_id": "id of the image; decisions are read by it",
    "winnow_name": "path inside the source",
    "winnow_label": "what `ground_truth` had when it was written: a difference is a decision",
    "winnow_action": "what Winnow did: keep, drop or relabel",
    "winnow_reason": "why; empty where the image was kept as delivered",
    "label_quality": "of the class as delivered, in [0, 1], lower is worse; null where it was not measured",
    "pixel_hash": "of the picture, so that a decision on one that changed since is noticed",
    "group": "images that belong together, as near-duplicates do, share it",
}


def metadata(title: str, classes: Sequence[str]) -> dict[str, Any]:
    """metadata.json."""
    return {
        "name": title,
        "media_type": "image",
        "info": {
            "description": "Delivered train and val images with what Winnow did. To decide, tag samples drop, keep or "
            "undo, or correct ground_truth; `winnow decide --from fiftyone FOLDER` reads an export of this dataset.",
            "default_classes": list(classes),
        },
    }


def samples(images: Sequence[Judged], folder: str) -> dict[str, Any]:
    """samples.json.

    Args:
        images: to be written.
        folder: of their files, from that of samples.json.
    """
    return {"samples": [_sample(one, folder) for one in images]}


def _sample(one: Judged, folder: str) -> dict[str, Any]:
    return {
        "filepath": f"{folder}/{one.file}",
        "tags": [one.split, *([] if one.action == KEEP else [f"winnow_{one.action}"])],
        "metadata": None,
        "ground_truth": _classification(one.shown),
        "given_label": _classification(one.given),
        "prediction": None if one.predicted is None else _classification(one.predicted, one.confidence),
        "winnow_id": one.id,
        "winnow_name": one.name,
        "winnow_label": one.shown,
        "winnow_action": one.action,
        "winnow_reason": one.reason,
        "label_quality": one.quality,
        "pixel_hash": one.pixel_hash,
        "group": one.group,
    }


def _classification(label: str, confidence: float | None = None) -> dict[str, Any]:
    return {"_cls": "Classification", "tags": [], "label": label, "confidence": confidence, "logits": None}
