"""What the files of a run say of delivered images: their label quality, and the formats of odd ones."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from winnow.dataset.samples import QUALITY_SCHEMA, only_source
from winnow.dataset.streaming import every_image
from winnow.export.copies import format_of
from winnow.export.names import read_by_all
from winnow.pipeline.files import read_table


def label_quality(scores: Sequence[Path]) -> dict[str, float]:
    """By id the label quality of the last table that has it."""
    found: dict[str, float] = {}
    for path in scores:
        table = read_table(path, QUALITY_SCHEMA)
        found |= dict(zip(table["id"].to_pylist(), table["label_quality"].to_pylist(), strict=True))
    return found


def odd_formats(stored: pa.Table, dataset: Path) -> Iterator[tuple[str, str]]:
    """Id and format of the source images whose own suffix not every loader reads."""
    source = only_source(stored)
    names = zip(source["id"].to_pylist(), source["name"].to_pylist(), strict=True)
    odd = [identifier for identifier, name in names if not read_by_all(name)]
    for identifier, content in every_image(dataset, odd):
        yield identifier, format_of(content, identifier)
