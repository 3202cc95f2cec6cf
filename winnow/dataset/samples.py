"""The table of samples: ``<dataset>/samples.parquet``, one row per sample, no pixels; class names are its metadata.

A stage that cleanses rewrites the table and passes the image shards on; a stage that augments adds shards.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.pipeline.checksums import DamagedError
from winnow.pipeline.files import Columns, open_parquet, schema_of
from winnow.pipeline.messages import UserError

SAMPLES: Columns = {
    "id": (pa.string(), "16 hex digits, unique; the same in every stage and on every machine"),
    "name": (pa.string(), "path inside the source; of a copy, the name of its source image, its origin and a number"),
    "split": (pa.string(), "train, val, label_book or test"),
    "label": (pa.string(), "class now"),
    "given_label": (pa.string(), "class as delivered"),
    "origin": (
        pa.string(),
        "source, or what made the copy: random, faster_autoaugment (the policy, whoever found it), inversion, affine, "
        "edge_case; of fair controls, random_chained and plain",
    ),
    "parent": (pa.string(), "id of the source image that a copy was made from; null for a source image"),
    "operations": (
        pa.string(),
        "JSON list of {operation, magnitude, seed where one is drawn}, in order; null for a source image",
    ),
    "pixel_hash": (pa.string(), "of the decoded pixels at the delivered size; of a copy, of its own pixels"),
    "channels": (pa.int8(), "1 grey or 3 colour, as delivered"),
    "width": (pa.int32(), "pixels as delivered, upright; of a copy, of its source image"),
    "height": (pa.int32(), "likewise"),
    "group": (pa.string(), "images that belong together, as near-duplicates do, share it: the id of the first of them"),
}
SCHEMA = schema_of(SAMPLES)


SPLITS = ("train", "val", "label_book", "test")


ID = "^[0-9A-Za-z]+$"  # it becomes part of file names, so it must not lead out of a folder


# The columns read from the valuation's table, which also has one per label-book image. In [0, 1], lower is worse.
QUALITY_SCHEMA = pa.schema(
    [pa.field("id", pa.string(), nullable=False), pa.field("label_quality", pa.float64(), nullable=False)]
)


def sample_id(name: str, content: bytes) -> str:
    """16 hex digits from a sample's name and content alone, so that no other sample can change them."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass") + b"\0" + content, digest_size=8).hexdigest()


def samples_table(rows: Sequence[dict[str, object]], classes: Sequence[str]) -> pa.Table:
    """Rows as a samples table that carries the class names."""
    return of_classes(pa.Table.from_pylist(list(rows), schema=SCHEMA), classes)


def of_classes(table: pa.Table, classes: Sequence[str]) -> pa.Table:
    """A table of samples that carries the class names, in one piece, so that equal tables give equal files."""
    return table.combine_chunks().replace_schema_metadata({"classes": json.dumps(list(classes))})


def read_samples(folder: Path) -> pa.Table:
    """The samples table of a dataset.

    Raises:
        UserError: the table is missing or is no samples table.
    """
    path = folder / "samples.parquet"
    back = f"bring it back with `dvc checkout --force {folder}`"
    try:
        with open_parquet(path) as file:
            table = file.read()
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro`, or `dvc pull` for a shared dataset") from None
    except DamagedError:
        raise UserError(f"{path} is not a whole parquet table; {back}") from None
    if not table.schema.equals(SCHEMA) or b"classes" not in (table.schema.metadata or {}):
        raise UserError(f"{path} is no samples table; {back}")
    for fault in _faults(table):
        raise UserError(f"{path} was tampered with: {fault}; {back}")
    return table


def _faults(samples: pa.Table) -> Iterable[str]:
    """Contents that no stage writes into a samples table."""
    try:
        classes = class_names(samples)
    except (ValueError, RecursionError):
        classes = None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        yield "its class names are no list of names"
        return
    if pc.count_distinct(samples["id"], mode="all").as_py() < len(samples):
        yield "an id occurs twice"
    for name, allowed in (("label", set(classes)), ("split", set(SPLITS))):
        for value in set(pc.unique(samples[name]).to_pylist()) - allowed:
            yield f"{value!r} is no {name}"
    for ids in (samples["id"], samples["parent"]):
        for identifier in ids.filter(pc.invert(pc.match_substring_regex(ids, ID))):
            yield f"{identifier.as_py()!r} is no id"
    if samples["id"].null_count:
        yield "a sample has no id"


def class_names(samples: pa.Table) -> list[str]:
    """The classes of the source, by class index; a class stays even when its last sample is dropped."""
    names: list[str] = json.loads(samples.schema.metadata[b"classes"])
    return names


def column(table: pa.Table, name: str) -> npt.NDArray[np.str_]:
    """A text column as an array; null becomes the empty string."""
    return np.asarray(table[name].fill_null("").to_numpy(), dtype=np.str_)


def labels_by_id(samples: pa.Table, name: str = "label") -> dict[str, str]:
    """The label of each sample now, or as delivered with ``given_label``."""
    return dict(zip(samples["id"].to_pylist(), samples[name].to_pylist(), strict=True))


def label_indices(samples: pa.Table) -> npt.NDArray[np.int64]:
    """(N,) class index of each sample's current label.

    Raises:
        KeyError: a label is none of the classes.
    """
    found = pc.index_in(samples["label"], value_set=pa.array(class_names(samples), pa.string()))
    if found.null_count:
        raise KeyError(samples["label"].filter(found.is_null())[0].as_py())
    indices: npt.NDArray[np.int64] = found.to_numpy().astype(np.int64)
    return indices


def group_indices(samples: pa.Table) -> npt.NDArray[np.int64]:
    """(N,) equal for samples of one group of near-duplicates; a copy has its source image's.

    Numbered in the groups' order as texts.
    """
    coded = samples["group"].fill_null("").combine_chunks().dictionary_encode()
    order = pc.sort_indices(coded.dictionary).to_numpy()  # UTF-8's order is that of the characters
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    indices: npt.NDArray[np.int64] = rank[coded.indices.to_numpy()]
    return indices


def train_and_val(dataset: Path, *, max_images: int | None) -> pa.Table:
    """The train and val samples of a dataset that is to be judged.

    Args:
        dataset: its folder.
        max_images: that the competition's judge allows in train and val together; None: any number.

    Raises:
        UserError: a split is empty, or there are too many images.
    """
    samples = both_sides(read_samples(dataset), dataset)
    if max_images is not None and samples.num_rows > max_images:
        raise UserError(
            f"{dataset}: train and val may hold {max_images} images together (judge.max_images), "
            f"got {samples.num_rows}; augment less (augment.budget)"
        )
    return samples


def both_sides(samples: pa.Table, dataset: Path) -> pa.Table:
    """The train and val samples of a table.

    Args:
        samples: the table.
        dataset: where it is from, for the sentence.

    Raises:
        UserError: a split is empty.
    """
    there = pc.unique(samples["split"]).to_pylist()
    for split in ("train", "val"):
        if split not in there:
            raise UserError(f"{dataset}: no {split} images are left; cleanse less, or add images")
    return only_splits(samples, "train", "val")


def only_source(samples: pa.Table) -> pa.Table:
    """The source images, without augmented copies, in table order."""
    return samples.filter(samples["parent"].is_null())


def only_splits(samples: pa.Table, *splits: str) -> pa.Table:
    """The samples of some splits, in table order."""
    return samples.filter(pc.is_in(samples["split"], value_set=pa.array(splits, pa.string())))


# Images that a class keeps in a split; of two training images, each is judged by networks trained on the other.
LEAST = {"train": 2, "val": 1}
