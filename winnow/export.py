"""A dataset as plain files: where each image goes, and the manifest that says where each came from."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from winnow.dataset import SCHEMA, VERDICT_SCHEMA, class_names
from winnow.folder_names import folder_names

MANIFEST_SCHEMA = pa.schema(
    [
        ("file", pa.string()),  # from the export's root
        ("folder", pa.string()),  # the class's folder; not the label where that is no safe name
        *(SCHEMA.field(name) for name in ("id", "name", "split", "label", "given_label", "origin", "parent")),
        ("round", pa.string()),  # of the last verdict; this and what follows is null where there was none
        ("stage", pa.string()),
        *(VERDICT_SCHEMA.field(name) for name in ("action", "reason", "score")),
    ]
)


def manifest(samples: pa.Table, verdicts: Mapping[tuple[str, str], pa.Table]) -> pa.Table:
    """A row a sample, in table order.

    Args:
        samples: of a dataset.
        verdicts: verdict tables by round and stage, in the order of the pipeline.

    Returns:
        A table of MANIFEST_SCHEMA. The verdict is the last that left the sample as it is.
    """
    folders = folder_names(class_names(samples))
    label = dict(zip(samples["id"].to_pylist(), samples["label"].to_pylist(), strict=True))
    last: dict[str, dict[str, Any]] = {}
    for (round_name, stage), table in verdicts.items():
        for verdict in table.to_pylist():
            if verdict["action"] != "drop" and label.get(verdict["id"]) == verdict["label_after"]:
                last[verdict["id"]] = verdict | {"round": round_name, "stage": stage}
    rows = []
    for sample in samples.to_pylist():
        folder = folders[sample["label"]]
        place = {"file": f"{sample['split']}/{folder}/{sample['id']}.png", "folder": folder}
        row = last.get(sample["id"], {}) | sample | place
        rows.append({name: row.get(name) for name in MANIFEST_SCHEMA.names})
    return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)


def missing_classes(samples: pa.Table) -> Iterator[tuple[str, str]]:
    """Split and class, where a class has no image: a loader that numbers a split's own folders counts past it."""
    there = set(zip(samples["split"].to_pylist(), samples["label"].to_pylist(), strict=True))
    for split in ("train", "val"):
        yield from ((split, name) for name in class_names(samples) if (split, name) not in there)
