"""The manifest of the refined dataset as folders of images: which file is what, and where each came from."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import SAMPLES, class_names, label_indices
from winnow.export.names import Exported, file_names, folder_names
from winnow.pipeline.files import Columns, schema_of
from winnow.verdicts.ledger import DROP, VERDICTS
from winnow.verdicts.states import as_numpy, last_verdicts, places

MANIFEST: Columns = {
    "file": (pa.string(), "path from the export's root; a source image has its own file name where that can be"),
    "folder": (pa.string(), "folder of the class: its name, or `class_<index>` where that is no safe folder name"),
    **{name: SAMPLES[name] for name in ("id", "name", "split", "label", "given_label", "origin", "parent")},
    "label_quality": (
        pa.float64(),
        "how well the label fits, in [0, 1], lower is worse; null where no round valued the image, and where it has "
        "another label than was delivered",
    ),
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
        label_quality: by id, of the label delivered, where it was valued.

    Returns:
        A table of MANIFEST_SCHEMA. The verdict is the last that left the sample as it is. The checksums are null: they
        are known when the files are written (``with_checksums``).
    """
    classes = class_names(samples)
    folders = folder_names(classes)
    folder = pa.array([folders[name] for name in classes], pa.string()).take(pa.array(label_indices(samples)))
    samples = samples.replace_schema_metadata(None)
    found = {
        **{name: samples[name] for name in samples.column_names},
        "file": _files(samples, folder, formats),
        "folder": folder,
        "label_quality": pc.if_else(
            pc.equal(samples["label"], samples["given_label"]),
            pa.array(map(label_quality.get, samples["id"].to_pylist()), pa.float64()),
            None,
        ),
        "sha256": pa.nulls(len(samples), pa.string()),
    }
    confirming = _confirming(samples, ledger)
    found |= {name: ledger[name].take(confirming) for name in ("round", "stage", "action", "reason", "support")}
    return pa.table([found[name] for name in MANIFEST_SCHEMA.names], schema=MANIFEST_SCHEMA)


def _confirming(samples: pa.Table, ledger: pa.Table) -> pa.Array:
    """(N,) row of the last verdict that left each image under the label that it has; null where there is none."""
    place = places(ledger["id"], samples["id"])  # (L,)
    labels = samples["label"].take(pa.array(place, mask=place < 0))  # (L,) now, of the image that a verdict is on
    stays = pc.and_(pc.not_equal(ledger["action"], DROP), pc.equal(ledger["label_after"], labels))
    last = last_verdicts(samples["id"], ledger["id"], as_numpy(pc.fill_null(stays, False)).astype(bool))
    return pa.array(last, mask=last < 0)


def _files(samples: pa.Table, folder: pa.Array, formats: Mapping[str, str]) -> pa.Array:
    """(N,) path of each file; names are chosen a folder at a time, so that those of one are held."""
    within = pc.binary_join_element_wise(samples["split"], folder, "/")
    order = pc.sort_indices(within.combine_chunks()).to_numpy()
    codes = within.combine_chunks().dictionary_encode().indices.to_numpy()[order]
    parts: list[pa.Array] = []
    for rows in np.split(order, np.flatnonzero(np.diff(codes)) + 1):
        place, images = within[int(rows[0])].as_py() if len(rows) else "", []
        for row in samples.select(["id", "name", "parent"]).take(rows).to_pylist():
            own = "" if row["parent"] else row["name"]
            images.append(Exported(row["id"], place, own, formats.get(row["id"], "")))
        names = file_names(images)
        parts.append(pa.array([f"{place}/{names[one.id]}" for one in images], pa.string()))
    inverse = np.empty(len(order), dtype=np.int64)
    inverse[order] = np.arange(len(order))
    return pa.concat_arrays(parts).take(pa.array(inverse))


def with_checksums(listed: pa.Table, sums: pa.Array) -> pa.Table:
    """The manifest with the SHA-256 of every file, (N,) hex in its order."""
    return listed.set_column(listed.schema.get_field_index("sha256"), MANIFEST_SCHEMA.field("sha256"), sums)


def missing_classes(samples: pa.Table) -> Iterator[tuple[str, str]]:
    """Split and class, where a class has no image: a loader that numbers a split's own folders skips it."""
    pairs = samples.group_by(["split", "label"]).aggregate([]).to_pylist()
    there = {(row["split"], row["label"]) for row in pairs}
    for split in ("train", "val"):
        yield from ((split, name) for name in class_names(samples) if (split, name) not in there)
