"""The images of a dataset: immutable shards of PNGs beside the table of samples.

    <dataset>/images/<hash>.parquet    id, image {bytes, path}: the layout that Hugging Face's image feature reads

DVC stores a shard once however many datasets carry it.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from winnow.pipeline.files import Columns, fresh_folder, schema_of, write_bytes, write_table
from winnow.pipeline.messages import UserError


def stored_images(folder: Path, ids: Iterable[str]) -> dict[str, bytes]:
    """PNG bytes by id, in the order of ``ids``.

    Args:
        folder: of the dataset.
        ids: each once or more.

    Raises:
        UserError: an id has no image in the dataset's shards, or one of these is damaged.
    """
    wanted = dict.fromkeys(ids)
    found: dict[str, bytes] = {}
    for _, there, contents in read_shards(folder):
        for row, identifier in enumerate(there):
            if identifier in wanted and identifier not in found:
                found[identifier] = contents[row].as_py()
    missing = [identifier for identifier in wanted if identifier not in found]
    if missing:
        raise UserError(
            f"{folder}/images lacks {len(missing)} images, {missing[0]} first; run `dvc checkout --force {folder}`"
        )
    return {identifier: found[identifier] for identifier in wanted}


def iterate_images(folder: Path, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Id and stored bytes of each image, shard by shard; a few images are in memory at a time.

    Args:
        folder: of the dataset.
        ids: each once or more; an image comes once, in the shards' order.

    Raises:
        UserError: an id has no image in the dataset's shards, or one of these is damaged.
    """
    wanted = set(ids)
    for shard in sorted((folder / "images").glob("*.parquet")) if wanted else ():
        try:
            with pq.ParquetFile(shard, memory_map=True) as file:
                if wanted.isdisjoint(file.read(columns=["id"])["id"].to_pylist()):
                    continue
                for batch in file.iter_batches(batch_size=8, columns=["id", "image"]):
                    contents = batch["image"].field("bytes")
                    for row, identifier in enumerate(batch["id"].to_pylist()):
                        if identifier in wanted:
                            wanted.remove(identifier)
                            yield identifier, contents[row].as_py()
        except (pa.ArrowException, OSError, KeyError):
            raise UserError(f"{shard} is not a complete image shard; run `dvc checkout --force {folder}`") from None
    if wanted:
        raise UserError(
            f"{folder}/images lacks {len(wanted)} images, {min(wanted)} first; run `dvc checkout --force {folder}`"
        )


SHARD: Columns = {
    "id": (pa.string(), "of the sample"),
    "image": (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "a PNG, and `<id>.png`"),
}
SHARD_SCHEMA = schema_of(SHARD)


SHARD_ROWS = 4096  # 64 x 64 line art is about 1 KB a PNG: a shard is a few MB, one object to push


Pixels = npt.NDArray[np.uint8]


def encode_png(pixels: Pixels) -> bytes:
    """PNG bytes of one (H, W, 1) or (H, W, 3) image."""
    sink = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(sink, format="PNG")
    return sink.getvalue()


def decode_png(content: bytes) -> Pixels:
    """(H, W, 1) or (H, W, 3) uint8 pixels of a PNG; other formats fail, since Pillow runs programs to read some."""
    pixels = np.asarray(Image.open(io.BytesIO(content), formats=("PNG",)))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def read_images(folder: Path, ids: Sequence[str]) -> Pixels:
    """(N, H, W, C) pixels of the samples, in the order of ``ids``; C is 3 if any of them is in colour, else 1.

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
            raise UserError(f"{shard} is not a complete image shard; run `dvc checkout --force {folder}`") from None
        yield shard, table["id"].to_pylist(), table["image"].combine_chunks().field("bytes")


def _decode(content: bytes | None, shard: Path, identifier: str) -> Pixels:
    try:
        pixels = decode_png(content or b"")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):  # what Pillow raises for damaged bytes
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
        shards_from: datasets whose shards are passed on byte for byte, if they hold a sample of the table.
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


def pixel_hash(pixels: Pixels) -> str:
    """32 hex digits of (H, W, C) pixels and their shape: equal for equal images only; grey in colour counts as grey."""
    if (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    total = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    total.update(np.ascontiguousarray(pixels).data)
    return total.hexdigest()
