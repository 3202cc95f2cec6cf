"""What the files of a run say of delivered images: label quality, verdicts, and the formats of odd ones."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import QUALITY_SCHEMA, only_source
from winnow.dataset.streaming import every_image
from winnow.export.copies import format_of
from winnow.export.names import read_by_all
from winnow.pipeline.files import read_table
from winnow.verdicts.ledger import VERDICT_SCHEMA, read_ledger
from winnow.verdicts.states import states


def label_quality(scores: Mapping[str, Path], ledger: pa.Table, delivered: pa.Table) -> dict[str, float]:
    """By id how well the label delivered fits, by the last round that valued the image under it.

    A round that comes after an image was relabelled values its new label.

    Args:
        scores: by round, in order, its table of stage value.
        ledger: every verdict, in order.
        delivered: samples as prepared.
    """
    found: dict[str, float] = {}
    for name, path in scores.items():
        start = pc.index(ledger["round"], name).as_py()
        before = ledger.slice(0, len(ledger) if start < 0 else start)
        images = states(delivered["id"], delivered["given_label"], before)
        table = read_table(path, QUALITY_SCHEMA)
        table = table.filter(pc.invert(pc.is_in(table["id"], value_set=images.ids.filter(pa.array(images.relabelled)))))
        found |= dict(zip(table["id"].to_pylist(), table["label_quality"].to_pylist(), strict=True))
    return found


def odd_formats(stored: pa.Table, dataset: Path) -> Iterator[tuple[str, str]]:
    """Id and format of the source images whose own suffix not every loader reads."""
    source = only_source(stored)
    names = zip(source["id"].to_pylist(), source["name"].to_pylist(), strict=True)
    odd = [identifier for identifier, name in names if not read_by_all(name)]
    for identifier, content in every_image(dataset, odd):
        yield identifier, format_of(content, identifier)


def read_verdicts(dataset: Path) -> pa.Table:
    """The ledger without evidence, which no export needs and which is most of its size: the column is null.

    Raises:
        UserError: the file is damaged or not a ledger.
    """
    table = read_ledger(dataset, [name for name in VERDICT_SCHEMA.names if name != "evidence"])
    where = VERDICT_SCHEMA.get_field_index("evidence")
    return table.add_column(where, VERDICT_SCHEMA.field(where), pa.nulls(len(table), VERDICT_SCHEMA.field(where).type))
