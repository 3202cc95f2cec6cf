"""The manifest of the refined dataset as folders of images: which file is what, and where each came from."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

import pyarrow as pa

from winnow.dataset.samples import SAMPLES, class_names, labels_by_id
from winnow.export.names import Exported, file_names, folder_names
from winnow.pipeline.files import Columns, schema_of
from winnow.verdicts.fates import fates
from winnow.verdicts.ledger import VERDICTS

MANIFEST: Columns = {
    "file": (pa.string(), "path from the export's root; a source image has its own file name where that can be"),
    "folder": (pa.string(), "folder of the class: its name, or `class_<index>` where that is no safe folder name"),
    **{name: SAMPLES[name] for name in ("id", "name", "split", "label", "given_label", "origin", "parent")},
    "label_quality": (pa.float64(), "of the last round that valued the image, lower is worse; null where none did"),
    "round": (pa.string(), "round of the last verdict on the image; null, as what follows, where there was none"),
    "stage": (pa.string(), "stage of that verdict"),
    **{name: VERDICTS[name] for name in ("action", "reason", "support")},
    "sha256": (pa.string(), "of the file's bytes, hex"),
}
MANIFEST_SCHEMA = schema_of(MANIFEST)


def manifest(
    samples: pa.Table, ledger: pa.Table, *, formats: Mapping[str, str], label_quality: Mapping[str, float]
) -> pa.Table:
    """One row per sample that is exported, in table order.

    Args:
        samples: of a dataset, those that become files.
        ledger: every verdict, in order.
        formats: by id the format of an image's content, of every copy and where a file's suffix does not name it.
        label_quality: by id, where it was valued.

    Returns:
        A table of MANIFEST_SCHEMA. The verdict is the last that left the sample as it is. The checksums are null: they
        are known when the files are written (``with_checksums``).
    """
    folders = folder_names(class_names(samples))
    fate = fates(labels_by_id(samples, "given_label"), ledger, labels_by_id(samples))
    rows = samples.to_pylist()
    within = {row["id"]: f"{row['split']}/{folders[row['label']]}" for row in rows}
    names = file_names(
        [
            Exported(row["id"], within[row["id"]], "" if row["parent"] else row["name"], formats.get(row["id"], ""))
            for row in rows
        ]
    )
    listed = []
    for row in rows:
        identifier, verdict = row["id"], fate[row["id"]].confirming
        place = {"file": f"{within[identifier]}/{names[identifier]}", "folder": folders[row["label"]]}
        found = (asdict(verdict) if verdict else {}) | row | place
        found["label_quality"] = label_quality.get(identifier)
        listed.append({name: found.get(name) for name in MANIFEST_SCHEMA.names})
    return pa.Table.from_pylist(listed, schema=MANIFEST_SCHEMA)


def with_checksums(listed: pa.Table, sums: Mapping[str, str]) -> pa.Table:
    """The manifest with the SHA-256 of every file, by its path."""
    column = pa.array([sums[file] for file in listed["file"].to_pylist()], pa.string())
    return listed.set_column(listed.schema.get_field_index("sha256"), MANIFEST_SCHEMA.field("sha256"), column)


def missing_classes(samples: pa.Table) -> Iterator[tuple[str, str]]:
    """Split and class, where a class has no image: a loader that numbers a split's own folders skips it."""
    there = set(zip(samples["split"].to_pylist(), samples["label"].to_pylist(), strict=True))
    for split in ("train", "val"):
        yield from ((split, name) for name in class_names(samples) if (split, name) not in there)
