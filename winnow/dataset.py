"""A dataset on disk: one table of samples, and immutable shards of PNG pixels beside it.

    <folder>/samples.parquet          one row a sample, no pixels; schema metadata: the class names
    <folder>/images/<hash>.parquet    id, image {bytes, path}: the layout the Hugging Face image feature reads

A stage that cleanses rewrites the table and hands the shards on; a stage that augments adds shards. DVC stores a
shard once however many datasets carry it.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from winnow.stage import UserError, fresh_folder, write_bytes, write_table

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # 16 hex digits, unique, the same in every stage and on every machine
        ("name", pa.string()),  # path inside the source
        ("split", pa.string()),  # train, val, label_book, test
        ("label", pa.string()),  # class now
        ("given_label", pa.string()),  # class as delivered
        ("origin", pa.string()),  # source, random, faster_autoaugment, inversion, affine, edge_case
        ("parent", pa.string()),  # the root source sample that an augmented one was made from, else null
        ("operations", pa.string()),  # JSON list of {operation, magnitude}, else null
        ("pixel_hash", pa.string()),  # of the decoded pixels at the delivered resolution
        ("channels", pa.int8()),  # 1 grey, 3 colour, as delivered
    ]
)
SHARD_SCHEMA = pa.schema([("id", pa.string()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))])
SPLITS = ("train", "val", "label_book", "test")
ID = re.compile("[0-9A-Za-z]+")  # it becomes part of file names: nothing in it may lead out of a folder
SHARD_ROWS = 4096  # 64 x 64 line art is about 1 KB a PNG: a shard is a few MB, one object to push

VERDICT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("action", pa.string()),  # keep, drop, relabel
        ("label_before", pa.string()),
        ("label_after", pa.string()),  # null when dropped
        ("reason", pa.string()),
        ("score", pa.float64()),
        ("evidence", pa.list_(pa.string())),  # the validation ids or neighbour ids that decided
    ]
)
# What is read of the valuation's table; it has a column a label-book image as well.
SCORE_SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("score", pa.float64(), nullable=False)])

Pixels = npt.NDArray[np.uint8]


def sample_id(name: str, content: bytes) -> str:
    """16 hex digits from a sample's name and content alone, so that no other sample can change them."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass") + b"\0" + content, digest_size=8).hexdigest()


def encode_png(pixels: Pixels) -> bytes:
    """PNG bytes of one (H, W, 1) or (H, W, 3) image."""
    sink = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(sink, format="PNG")
    return sink.getvalue()


def decode_png(content: bytes) -> Pixels:
    """(H, W, 1) or (H, W, 3) uint8 pixels of one of our own PNGs; nothing else: Pillow starts programs for some."""
    pixels = np.asarray(Image.open(io.BytesIO(content), formats=("PNG",)))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def samples_table(rows: Sequence[dict[str, object]], classes: Sequence[str]) -> pa.Table:
    """Rows as a samples table that carries the class names."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMA).replace_schema_metadata(
        {"classes": json.dumps(list(classes))}
    )


def read_samples(folder: Path) -> pa.Table:
    """The samples table of a dataset.

    Raises:
        UserError: the table is missing or is no samples table.
    """
    path = folder / "samples.parquet"
    back = f"bring it back with `dvc checkout --force {folder}`"
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro`, or `dvc pull` for a shared dataset") from None
    except (pa.ArrowException, OSError):
        raise UserError(f"{path} is not a whole parquet table; {back}") from None
    if not table.schema.equals(SCHEMA) or b"classes" not in (table.schema.metadata or {}):
        raise UserError(f"{path} is no samples table; {back}")
    for fault in _faults(table):
        raise UserError(f"{path} was tampered with: {fault}; {back}")
    return table


def _faults(samples: pa.Table) -> Iterable[str]:
    """What no stage of ours writes into a samples table."""
    try:
        classes = class_names(samples)
    except ValueError:
        classes = None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        yield "its class names are no list of names"
        return
    ids, parents = samples["id"].to_pylist(), samples["parent"].to_pylist()
    if len(set(ids)) < len(ids):
        yield "an id stands in it twice"
    for name, allowed in (("label", set(classes)), ("split", set(SPLITS))):
        for value in set(samples[name].to_pylist()) - allowed:
            yield f"{value!r} is no {name}"
    for identifier in {*ids, *parents} - {None}:
        if not ID.fullmatch(identifier):
            yield f"{identifier!r} is no id"
    if None in ids:
        yield "a sample has no id"


def class_names(samples: pa.Table) -> list[str]:
    """The classes of the source, in the order of the class indices; a class stays even when its last sample goes."""
    names: list[str] = json.loads(samples.schema.metadata[b"classes"])
    return names


def column(table: pa.Table, name: str) -> npt.NDArray[np.str_]:
    """A text column as an array; null becomes the empty string."""
    return np.array(["" if value is None else value for value in table[name].to_pylist()], dtype=np.str_)


def label_indices(samples: pa.Table) -> npt.NDArray[np.int64]:
    """(N,) class index of each sample's current label."""
    index = {name: position for position, name in enumerate(class_names(samples))}
    return np.array([index[label] for label in samples["label"].to_pylist()], dtype=np.int64)


def only_source(samples: pa.Table) -> pa.Table:
    """The samples that are no augmented copies, in table order."""
    return samples.filter(samples["parent"].is_null())


def only_splits(samples: pa.Table, *splits: str) -> pa.Table:
    """The samples of some splits, in table order."""
    return samples.filter(pa.array(np.isin(column(samples, "split"), splits)))


def read_images(folder: Path, ids: Sequence[str]) -> Pixels:
    """(N, H, W, C) pixels of the samples asked for, in the order asked; C is 3 if any of them is in colour, else 1.

    Raises:
        UserError: an id has no pixels in the dataset's shards.
    """
    wanted = {identifier: position for position, identifier in enumerate(ids)}
    images: Pixels | None = None  # filled in place: a list of images and a stack of it would need twice the memory
    missing = set(wanted)
    for shard, ids_there, contents in read_shards(folder):
        for row, identifier in enumerate(ids_there):
            if identifier not in missing:
                continue
            image = _decode(contents[row].as_py(), shard, identifier)
            if images is None:
                images = np.empty((len(wanted), *image.shape), np.uint8)
            if image.shape[:2] != images.shape[1:3]:
                raise UserError(
                    f"{shard}: {identifier} has another size than the rest; run `dvc checkout --force {folder}`"
                )
            if image.shape[-1] > images.shape[-1]:  # the first image in colour
                images = np.repeat(images, image.shape[-1], axis=-1)
            images[wanted[identifier]] = image
            missing.remove(identifier)
    if missing:
        first = next(identifier for identifier in ids if identifier in missing)
        raise UserError(
            f"{folder}/images lacks {len(missing)} images, {first} first; run `dvc checkout --force {folder}`"
        )
    return np.zeros((0, 1, 1, 1), np.uint8) if images is None else images


def read_shards(folder: Path) -> Iterator[tuple[Path, list[str], pa.Array]]:
    """Each image shard of a dataset: its file, the ids in it, and their PNG bytes, in the same order.

    Raises:
        UserError: a shard is damaged.
    """
    for shard in sorted((folder / "images").glob("*.parquet")):
        try:
            table = pq.read_table(shard, columns=["id", "image"])
            if not table.schema.equals(SHARD_SCHEMA):
                raise KeyError
        except (pa.ArrowException, OSError, KeyError):
            raise UserError(f"{shard} is no whole shard of images; run `dvc checkout --force {folder}`") from None
        yield shard, table["id"].to_pylist(), table["image"].combine_chunks().field("bytes")


def _decode(content: bytes | None, shard: Path, identifier: str) -> Pixels:
    try:
        pixels = decode_png(content or b"")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow raises for bytes of others
        pixels = None
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise UserError(f"{shard}: the image of {identifier} is damaged; run `dvc checkout --force {shard.parents[1]}`")
    return pixels


def write_dataset(
    folder: Path, samples: pa.Table, *, images: Iterable[tuple[str, bytes]] = (), shards_from: Sequence[Path] = ()
) -> None:
    """Write a dataset.

    Args:
        folder: made anew.
        samples: the table, carrying its class names.
        images: id and PNG bytes of new pixels, in an order that is the same in every run.
        shards_from: datasets whose shards are handed on, byte for byte: those that hold a sample of the table.
    """
    shards = fresh_folder(folder) / "images"
    shards.mkdir()
    kept = set(samples["id"].to_pylist())
    for source in shards_from:
        for shard in sorted((source / "images").glob("*.parquet")):
            if not kept.isdisjoint(pq.read_table(shard, columns=["id"])["id"].to_pylist()):
                write_bytes(shards / shard.name, shard.read_bytes())
    batch: list[tuple[str, bytes]] = []
    for item in images:
        batch.append(item)
        if len(batch) == SHARD_ROWS:
            _write_shard(shards, batch)
            batch = []
    if batch:
        _write_shard(shards, batch)
    write_table(folder / "samples.parquet", samples)  # last, so that a folder with a table is a whole dataset


def _write_shard(shards: Path, batch: Sequence[tuple[str, bytes]]) -> None:
    """One shard, named by its content, so that equal pixels are one object wherever they are stored."""
    name = hashlib.blake2b(b"".join(i.encode() + content for i, content in batch), digest_size=8).hexdigest()
    rows = [{"id": i, "image": {"bytes": content, "path": f"{i}.png"}} for i, content in batch]
    write_table(shards / f"{name}.parquet", pa.Table.from_pylist(rows, schema=SHARD_SCHEMA))
