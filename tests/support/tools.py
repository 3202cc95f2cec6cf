"""A small finished run that is exported for other tools, and the published forms of these tools' files."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from tests.support.imports import ROOT
from tests.support.runs import Run, verdict
from winnow.dataset.samples import samples_table
from winnow.pipeline.files import write_table
from winnow.representation.predictions import write_probabilities
from winnow.verdicts.decision_rows import WRITTEN

CLASSES = ["i", "名 <é>", "a/b"]

TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
# fiftyone.core.labels.Classification: https://docs.voxel51.com/api/fiftyone.core.labels.html
CLASSIFICATION: dict[str, Any] = {
    "type": "object",
    "required": ["_cls", "label"],
    "properties": {
        "_cls": {"const": "Classification"},
        "tags": TEXTS,
        "label": {"type": ["string", "null"]},
        "confidence": {"type": ["number", "null"]},
        "logits": {"type": "null"},
    },
    "additionalProperties": False,
}
# https://docs.voxel51.com/user_guide/import_datasets.html#fiftyonedataset; fields as in
# https://docs.voxel51.com/user_guide/using_datasets.html#samples: names are Python's and do not begin with _.
FIFTYONE_SAMPLES: dict[str, Any] = {
    "type": "object",
    "required": ["samples"],
    "additionalProperties": False,
    "properties": {
        "samples": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["filepath", "tags", "metadata"],
                "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
                "properties": {
                    "filepath": {"type": "string", "pattern": "^data/"},
                    "tags": TEXTS,
                    "metadata": {"type": "null"},
                },
                "additionalProperties": {"anyOf": [{"type": ["string", "number", "null"]}, CLASSIFICATION]},
            },
        }
    },
}
# LegacyFiftyOneDatasetImporter of fiftyone/utils/data/importers.py, which reads metadata.json without a version.
FIFTYONE_METADATA: dict[str, Any] = {
    "type": "object",
    "required": ["media_type", "info"],
    "properties": {
        "name": {"type": "string"},
        "media_type": {"const": "image"},
        "info": {
            "type": "object",
            "properties": {"description": {"type": "string"}, "default_classes": TEXTS},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
# https://labelstud.io/guide/predictions.html and https://labelstud.io/guide/tasks.html#Basic-Label-Studio-JSON-format
LABEL_STUDIO_TASKS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {"type": "object", "required": ["image"], "properties": {"image": {"type": "string"}}},
            "predictions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["result"],
                    "properties": {
                        "model_version": {"type": "string"},
                        "score": {"type": "number", "minimum": 0, "maximum": 1},
                        "result": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["id", "type", "from_name", "to_name", "value"],
                                "properties": {
                                    "id": {"type": "string"},
                                    "type": {"const": "choices"},
                                    "from_name": {"enum": ["label", "action"]},
                                    "to_name": {"const": "image"},
                                    "value": {
                                        "type": "object",
                                        "required": ["choices"],
                                        "properties": {"choices": TEXTS},
                                        "additionalProperties": False,
                                    },
                                },
                                "additionalProperties": False,
                            },
                        },
                    },
                    "additionalProperties": False,
                },
            },
        },
        "additionalProperties": False,
    },
}


def finished_run(folder: Path) -> Run:
    """A repository with a run of one round: the first image dropped, the second relabelled by a person."""
    run = Run(folder, classes=CLASSES, gates={"r1": True}, file_name="n #{number} é.png")
    for row in run.samples:
        row["pixel_hash"] = hashlib.md5(run.images[row["id"]]).hexdigest()
    first, second, third, fourth, *_ = run.suspects
    fourth["group"] = third["group"]
    run.refined = [row | ({"label": "i"} if row is second else {}) for row in run.samples if row is not first]
    run.verdicts["r1", "cleanse_influence"] = [verdict(first, "drop", reason="shows nothing")]
    run.verdicts["r1", "cleanse_final"] = [verdict(second, "relabel", label_after="i", reason="=1+1", by="mia")]
    run.copy_of(third)
    run.write()
    ids = [row["id"] for row in run.suspects]
    quality = {"id": ids[:-1], "label_quality": np.linspace(0, 1, len(ids) - 1)}
    write_table(run.path("data/r1/value/scores.parquet"), pa.table(quality))
    probability = np.full((len(run.samples), len(CLASSES)), 0.2, np.float32)
    probability[:, 0] = 0.6
    probability[len(ids) - 1] = np.nan
    write_probabilities(run.path("data/r1/ensemble/classes.parquet"), samples_table(run.samples, CLASSES), probability)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "overrides.csv").write_text(",".join(WRITTEN) + "\n")
    return run


def as_fiftyone_exports(samples: dict[str, Any], modified: str | int = "2026-11-27T10:00:00.5Z") -> dict[str, Any]:
    """What FiftyOne writes of imported samples: ids of its database, times, and paths of its own."""
    found = copy.deepcopy(samples)
    for number, sample in enumerate(found["samples"]):
        identifier = {"$oid": f"{number:024x}"}
        sample |= {"_id": identifier, "_media_type": "image", "_rand": 0.5, "_dataset_id": identifier}
        sample |= {"filepath": f"/home/mia/{sample['filepath']}", "last_modified_at": {"$date": modified}}
        sample["metadata"] = {"_cls": "ImageMetadata", "width": 16, "height": 16, "num_channels": 3}
        for value in sample.values():
            if isinstance(value, dict) and value.get("_cls") == "Classification":
                value["_id"] = identifier
    return found


def as_label_studio_exports(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Label Studio writes as JSON of imported tasks that nobody has annotated."""
    more = {"project": 83, "created_at": "2026-11-27T09:00:00.1Z", "updated_at": "2026-11-27T09:00:00.1Z"}
    return [{"id": 1 + n, "annotations": [], "drafts": [], **more, **copy.deepcopy(t)} for n, t in enumerate(tasks)]


def annotation(label: str | None = None, *, drop: bool = False, **more: Any) -> dict[str, Any]:
    """An annotation as Label Studio exports it; https://labelstud.io/guide/task_format.html."""
    chosen = [("label", [label])] if label is not None else []
    chosen += [("action", ["drop"])] if drop else []
    result = [
        {"id": f"r{n}", "type": "choices", "from_name": name, "to_name": "image", "value": {"choices": choices}}
        for n, (name, choices) in enumerate(chosen)
    ]
    told: dict[str, Any] = {"id": 1001, "result": result, "was_cancelled": False, "ground_truth": False}
    told |= {"created_at": "2026-11-27T09:30:00.25Z", "updated_at": "2026-11-27T10:00:00.25Z", "lead_time": 4.3}
    return told | {"completed_by": {"id": 7, "email": "tom@example.org", "first_name": "Tom"}} | more


def write(path: Path, value: Any) -> Path:
    """The file with a value as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path
