"""The images of a dataset: immutable shards beside the table of samples, and arrays at the size that a model takes.

    <dataset>/images/<hash>.parquet    id, image {bytes, path}: the layout that Hugging Face's image feature reads
    <dataset>/features/                of copies alone: features by id (``arrays``), where the model is frozen

A source image is stored as it was delivered, whatever its format and size; a copy as it is analysed. What is computed
on is read from data/pixels or data/features, where source images are decoded once, and a copy from its own dataset.
DVC stores a shard once however many datasets carry it; in the workspace they are links to one file.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from winnow.dataset.arrays import ArrayStore, gather
from winnow.dataset.passed_on import COPIES, pass_on_shards
from winnow.dataset.samples import class_names, of_classes, samples_table
from winnow.dataset.streaming import damaged, each_image, lacking
from winnow.pictures.decode import PIXEL_LIMIT, UnreadableError, decode, suffix_of
from winnow.pipeline.durable import sync_folder
from winnow.pipeline.files import Columns, fresh_folder, schema_of, write_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.scratch import scratch_array

SHARD: Columns = {
    "id": (pa.string(), "of the sample"),
    "image": (
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "a source image as delivered, a copy as analysed; and its id with the suffix of its format",
    ),
}
SHARD_SCHEMA = schema_of(SHARD)

SHARD_ROWS = 4096  # 64 x 64 line art is about 1 KB a PNG: a shard is a few MB, one object to push
SHARD_BYTES = 2**26  # of images: photographs fill a shard sooner
ENDS_ROWS, ENDS_BYTES = 2048, 2**25  # images and bytes after which a shard ends, on average
GROUP_ROWS = 256  # images in a row group, which is what a worker reads
PAGE_ROWS = 8  # images after which a page may end: it does once it holds 1 MB

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"  # begin each, and nothing else
MANY_PICTURES = b"MPF\0"  # in a JPEG that is one of several pictures, which has another format's name

Pixels = npt.NDArray[np.uint8]
Copy = tuple[dict[str, object], tuple[str, bytes]]  # row of a samples table, and the id with the picture's bytes


def stored_images(folder: Path, ids: Iterable[str]) -> dict[str, bytes]:
    """Bytes by id, in the order of ``ids``: of source images as delivered, of copies as analysed.

    Args:
        folder: of the dataset.
        ids: each once or more.

    Raises:
        UserError: an id has no image in the dataset's shards, or one of these is damaged.
    """
    wanted = dict.fromkeys(ids)
    found = dict(each_image(folder, wanted))
    lacking(folder, wanted, found)
    return {identifier: found[identifier] for identifier in wanted}


def read_images(folder: Path, ids: Sequence[str], pixels: Path) -> Pixels:
    """(N, S, S, C) pixels at the analysis size, in the order of ``ids``; C is 3 if any of them is in colour, else 1.

    Args:
        folder: of the dataset, from whose shards the copies are decoded.
        ids: N of them.
        pixels: folder of the stage ``pixels``, with the source images.

    Raises:
        UserError: an id has no pixels, or its image is damaged.
    """
    store = ArrayStore(pixels)
    wanted = {identifier: position for position, identifier in enumerate(ids)}
    images: Pixels | None = None  # filled in place: a list of images and a stack of it would need twice the memory
    found = set()
    for identifier, image in _analysed(folder, list(wanted), store):
        if images is None:
            images = scratch_array((len(wanted), *image.shape), np.uint8)
        if image.shape[:2] != images.shape[1:3]:
            raise UserError(
                f"{folder}: {identifier} has another size than the rest; run `dvc checkout --force {folder}`"
            )
        if image.shape[-1] > images.shape[-1]:  # the first image in colour
            grey, images = images, scratch_array((len(wanted), *image.shape), np.uint8)
            images[:] = grey
        images[wanted[identifier]] = image
        found.add(identifier)
    lacking(folder, list(wanted), found)
    return np.zeros((0, 1, 1, 1), np.uint8) if images is None else images


def read_features(folder: Path, ids: Sequence[str], features: Path) -> npt.NDArray[np.float32]:
    """(N, D) features of the backbone, in the order of ``ids``.

    Args:
        folder: of the dataset, which has those of its copies.
        ids: N of them.
        features: folder of the stage ``features``, with those of the source images.

    Raises:
        UserError: an id has no features.
    """
    stores = [ArrayStore(features), *(ArrayStore(part) for part in sorted((folder / COPIES).glob("*")))]
    return gather(stores, ids, where=features).astype(np.float32, copy=False)


def _analysed(folder: Path, ids: Sequence[str], store: ArrayStore) -> Iterator[tuple[str, Pixels]]:
    yield from ((identifier, store.row(identifier)) for identifier in ids if identifier in store)
    for identifier, content in each_image(folder, [one for one in ids if one not in store]):
        yield identifier, decode_stored(content, folder, identifier)


def decode_stored(content: bytes, folder: Path, identifier: str) -> Pixels:
    """(H, W, 1 or 3) pixels of an image from a dataset's shards, upright and in 8 bits.

    Raises:
        UserError: it is damaged.
    """
    try:
        return decode(content, max_pixels=PIXEL_LIMIT)
    except UnreadableError as reason:
        raise damaged(folder, identifier, reason) from None


def write_dataset(
    folder: Path, samples: pa.Table, *, images: Iterable[tuple[str, bytes]] = (), shards_from: Sequence[Path] = ()
) -> None:
    """Write a dataset.

    Args:
        folder: made anew.
        samples: the table, carrying its class names.
        images: id and bytes of new images, in an order that is the same in every run; taken one at a time.
        shards_from: datasets whose shards are passed on byte for byte, if they hold a sample of the table, and whose
            copies' features are.
    """
    shards = _fresh_shards(folder)
    pass_on_shards(folder, samples, shards_from)
    _write_shards(shards, images)
    sync_folder(folder)
    write_table(folder / "samples.parquet", samples)  # last, so that a folder with a table is a whole dataset


def write_with_copies(
    folder: Path, samples: pa.Table, copies: Iterable[Copy], *, shards_from: Sequence[Path]
) -> list[str]:
    """Write a dataset with new copies. Their pictures are written shard by shard, and no more than a shard's are held.

    Args:
        folder: made anew.
        samples: the table without the copies, carrying its class names.
        copies: in an order that is the same in every run; taken one at a time.
        shards_from: as ``write_dataset`` takes them.

    Returns:
        The copies' ids.
    """
    classes, made, waiting = class_names(samples), [samples], list[dict[str, object]]()

    def pictures() -> Iterator[tuple[str, bytes]]:
        for row, picture in copies:
            waiting.append(row)
            if len(waiting) == SHARD_ROWS:  # a table takes a tenth of the memory of its rows as dictionaries
                made.append(samples_table(waiting, classes))
                waiting.clear()
            yield picture

    _write_shards(_fresh_shards(folder), pictures())
    table = of_classes(pa.concat_tables([*made, samples_table(waiting, classes)]), classes)
    pass_on_shards(folder, table, shards_from)
    sync_folder(folder)
    write_table(folder / "samples.parquet", table)  # last, so that a folder with a table is a whole dataset
    written: list[str] = table["id"].slice(len(samples)).to_pylist()
    return written


def _fresh_shards(folder: Path) -> Path:
    shards = fresh_folder(folder) / "images"
    shards.mkdir()
    return shards


def _write_shards(shards: Path, images: Iterable[tuple[str, bytes]]) -> None:
    """The images in shards. Which image ends one depends on that image, so that a new one changes its shard alone."""
    batch: list[tuple[str, bytes]] = []
    held = 0
    for item in images:
        if batch and (len(batch) == SHARD_ROWS or held + len(item[1]) > SHARD_BYTES):
            _write_shard(shards, batch)
            batch, held = [], 0
        batch.append(item)
        held += len(item[1])
        if _ends_shard(*item):
            _write_shard(shards, batch)
            batch, held = [], 0
    if batch:
        _write_shard(shards, batch)


def _ends_shard(identifier: str, content: bytes) -> bool:
    """Whether a shard ends after this image: a draw from its id, likelier where it is large."""
    draw = int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=4).digest())
    return draw < 2**32 * (1 / ENDS_ROWS + len(content) / ENDS_BYTES)


def _write_shard(shards: Path, batch: Sequence[tuple[str, bytes]]) -> None:
    """One shard, named by its content, so that equal images are one object wherever they are stored."""
    name = hashlib.blake2b(b"".join(i.encode() + content for i, content in batch), digest_size=8).hexdigest()
    rows = [{"id": i, "image": {"bytes": content, "path": f"{i}{_suffix(content)}"}} for i, content in batch]
    # A page ends after few images, so that a reader need not hold many.
    table = pa.Table.from_pylist(rows, schema=SHARD_SCHEMA)
    write_table(shards / f"{name}.parquet", table, write_batch_size=PAGE_ROWS, row_group_size=GROUP_ROWS)


def _suffix(content: bytes) -> str:
    """As ``suffix_of``, which opens the image."""
    if content.startswith(PNG):
        return ".png"
    if content.startswith(JPEG) and MANY_PICTURES not in content:
        return ".jpg"
    return suffix_of(content)


def encode_png(pixels: Pixels) -> bytes:
    """PNG bytes of one (H, W, 1) or (H, W, 3) image."""
    return _encoded(pixels, "PNG")


def encode_jpeg(pixels: Pixels) -> bytes:
    """JPEG bytes of one (H, W, 1) or (H, W, 3) image, at a quality that shows no blocks."""
    return _encoded(pixels, "JPEG", quality=JPEG_QUALITY)


JPEG_QUALITY = 95


def _encoded(pixels: Pixels, kind: str, **options: int) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(sink, format=kind, **options)
    return sink.getvalue()
