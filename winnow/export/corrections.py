"""corrections.csv: every image of the source that was dropped or has another label now, the worst first.

It is read by people in spreadsheets and by programs. A name or a label that a spreadsheet would take for a formula,
whoever gave it, has an apostrophe before it (``winnow.pipeline.spreadsheet``), which overrides.csv takes too.
"""

import csv
import io
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import labels_by_id, only_source, only_splits
from winnow.pipeline.spreadsheet import disarmed
from winnow.verdicts.fates import Fate, fates
from winnow.verdicts.ledger import DROP, RELABEL
from winnow.verdicts.states import states_in

CORRECTIONS = {  # column of data/export/corrections.csv: meaning
    "name": "path inside the source",
    "given_label": "class as delivered",
    "action": "drop or relabel",
    "new_label": "class now; empty when dropped",
    "label_quality": "of the class as delivered, in [0, 1], lower is worse; empty where no round valued it",
    "reason": "of the verdict that decided, one sentence with its figures",
}


def corrections(
    prepared: pa.Table, refined: pa.Table, ledger: pa.Table, label_quality: Mapping[str, float]
) -> list[list[str]]:
    """A row of CORRECTIONS for each source image of train and val that was dropped or relabelled.

    Args:
        prepared: samples as delivered.
        refined: samples now.
        ledger: every verdict, in order.
        label_quality: by id, of the label delivered, where it was valued.

    Returns:
        Rows of text, the lowest label quality first, those without one last; by name among equals.
    """
    source = only_splits(only_source(prepared), "train", "val")
    source = source.filter(pa.array(states_in(source["id"], source["given_label"], refined).touched))
    touched = fates_in(source, ledger, refined)
    names = labels_by_id(source, "name")
    order = sorted(touched, key=lambda key: (label_quality.get(key, float("inf")), names[key], key))
    return [_row(names[key], touched[key], label_quality.get(key)) for key in order]


def fates_in(source: pa.Table, ledger: pa.Table, refined: pa.Table) -> dict[str, Fate]:
    """The fates of some source images, few of a large dataset.

    Args:
        source: rows as delivered.
        ledger: every verdict, in order.
        refined: samples now.
    """
    now = refined.filter(pc.is_in(refined["id"], value_set=source["id"].combine_chunks()))
    return fates(labels_by_id(source, "given_label"), ledger, labels_by_id(now))


def _row(name: str, fate: Fate, quality: float | None) -> list[str]:
    deciding = fate.deciding
    return [
        name,
        fate.given,
        DROP if fate.label is None else RELABEL,
        fate.label or "",
        "" if quality is None else f"{quality:.6g}",
        deciding.reason if deciding else "",
    ]


def corrections_csv(rows: list[list[str]]) -> bytes:
    """The rows below CORRECTIONS' header as UTF-8, quoted where needed, formulas disarmed."""
    return "".join(
        _line(cells) for cells in [CORRECTIONS, *([disarmed(cell) for cell in row] for row in rows)]
    ).encode()


def _line(cells: Iterable[str]) -> str:
    """A row that ends in a line feed; Python's writer quotes a carriage return only where its own lines end in one."""
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\r\n").writerow(cells)
    return sink.getvalue().removesuffix("\r\n") + "\n"
