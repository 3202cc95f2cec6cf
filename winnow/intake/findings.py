"""What was found out about images, by the digest of their files, so that the next run opens only what is new.

    images.parquet   the facts of each file's image (``facts``)
    pairs.parquet    whether two images that might be near-duplicates are (``near_duplicates.confirm``)
    made.json        what made them: other code, libraries or settings do not use them, nor where a byte has changed

Files without pixels are not kept: they are opened again. A folder holds what one source's images need and no more, so
that it is that of a fresh run.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from winnow.intake.facts import Facts
from winnow.pipeline.files import Columns, read_table, schema_of, write_json, write_table
from winnow.pipeline.json_files import read_json
from winnow.pipeline.made_by import made_by
from winnow.pipeline.messages import UserError

IMAGES: Columns = {
    "content": (pa.string(), "digest of the file's bytes"),
    "pixel_hash": (pa.string(), "of the decoded pixels"),
    "channels": (pa.int8(), "1 grey or 3 colour"),
    "width": (pa.int32(), "pixels, upright"),
    "height": (pa.int32(), "likewise"),
    "line_art": (pa.bool_(), "whether it is grey with few levels"),
    "perceptual_hash": (pa.string(), "bits that are alike for images which look alike, in hex; all 0 for none"),
    "has_position": (pa.bool_(), "whether the file says where the image was taken"),
    "has_name": (pa.bool_(), "whether it says by which device, or whose it is"),
}
PAIRS: Columns = {
    "one": (pa.string(), "digest of an image's file"),
    "other": (pa.string(), "of another's, which comes after it by name"),
    "alike": (pa.bool_(), "whether they are near-duplicates"),
}
IMAGES_SCHEMA, PAIRS_SCHEMA = schema_of(IMAGES), schema_of(PAIRS)
FILES = ("images.parquet", "pairs.parquet")
MADE = "made.json"
MADE_KEYS = {  # key of data/facts/made.json: meaning
    "by": "digest of the code, the libraries and the settings that decide on facts and pairs",
    "images": "digest of images.parquet",
    "pairs": "digest of pairs.parquet",
}

Pair = tuple[str, str]
Alike = dict[Pair, bool]


class Findings:
    """Facts by content, and pairs that were compared; empty where nothing is known."""

    def __init__(self, images: pa.Table | None = None, pairs: pa.Table | None = None) -> None:
        """``images`` and ``pairs``: of the two files."""
        images = IMAGES_SCHEMA.empty_table() if images is None else images
        pairs = PAIRS_SCHEMA.empty_table() if pairs is None else pairs
        self._columns = {field.name: images[field.name].combine_chunks() for field in fields(Facts)}
        self._rows = {content: row for row, content in enumerate(images["content"].to_pylist())}
        self.alike: Alike = dict(
            zip(
                zip(pairs["one"].to_pylist(), pairs["other"].to_pylist(), strict=True),
                pairs["alike"].to_pylist(),
                strict=True,
            )
        )

    def facts(self, content: str) -> Facts | None:
        """The facts of a file with this digest, or None."""
        row = self._rows.get(content)
        if row is None:
            return None
        return Facts(**{name: column[row].as_py() for name, column in self._columns.items()})


def content_digest(content: bytes) -> str:
    """32 hex digits of a file's bytes."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def read_findings(folder: Path, *, max_pixels: int) -> Findings:
    """What an earlier run found; nothing where its files are missing or damaged, or were made otherwise.

    Args:
        folder: that ``write_findings`` filled, or one that does not exist.
        max_pixels: of an image.
    """
    try:
        if read_json(folder / MADE) != _made(folder, max_pixels):
            return Findings()
        return Findings(
            *(
                read_table(folder / name, schema)
                for name, schema in zip(FILES, (IMAGES_SCHEMA, PAIRS_SCHEMA), strict=True)
            )
        )
    except (UserError, OSError):
        return Findings()


def write_findings(
    folder: Path, facts: Iterable[tuple[str, Facts]], alike: Mapping[Pair, bool], *, max_pixels: int
) -> None:
    """Write what was found, in an order that depends on it alone.

    Args:
        folder: of the files.
        facts: of each image with its content; equal ones may occur several times.
        alike: the pairs that were compared.
        max_pixels: of an image.
    """
    (folder / MADE).unlink(missing_ok=True)  # until all is written
    found = dict(facts)
    contents = sorted(found)
    images: dict[str, Sequence[Any]] = {"content": contents}
    images |= {field.name: [getattr(found[content], field.name) for content in contents] for field in fields(Facts)}
    keys = sorted(alike)
    pairs = {
        "one": [one for one, _ in keys],
        "other": [other for _, other in keys],
        "alike": [alike[key] for key in keys],
    }
    write_table(folder / FILES[0], pa.table(images, schema=IMAGES_SCHEMA))
    write_table(folder / FILES[1], pa.table(pairs, schema=PAIRS_SCHEMA))
    write_json(folder / MADE, _made(folder, max_pixels))


def _made(folder: Path, max_pixels: int) -> dict[str, str]:
    code, libraries = ("winnow/intake", "winnow/pictures"), ("pillow", "numpy", "scipy", "imagehash")
    images, pairs = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES)
    return {"by": made_by(max_pixels, code=code, libraries=libraries), "images": images, "pairs": pairs}
