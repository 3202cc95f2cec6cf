"""The judged images as a table of issues with the columns of cleanlab's Datalab.

The columns up to ``near_duplicate_sets`` have the names and types that ``Datalab.get_issues`` of cleanlab 2.9 gives
them (https://docs.cleanlab.ai/stable/cleanlab/datalab/guide/issue_type_description.html). The rows count from 0, in the
order of data/prepared. Scores lie in [0, 1], lower is worse, as there.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from winnow.export.judged import Judged
from winnow.pipeline.files import Columns, schema_of
from winnow.pipeline.spreadsheet import disarmed
from winnow.verdicts.ledger import DROP, KEEP

DATALAB: Columns = {
    "is_label_issue": (pa.bool_(), "the image was dropped or has another label now"),
    "label_score": (pa.float64(), "label quality of the class as delivered; null where it was not measured"),
    "given_label": (pa.string(), "class as delivered"),
    "predicted_label": (pa.string(), "the likeliest class by the ensemble, out of fold; null where it is not known"),
    "is_outlier_issue": (pa.bool_(), "the image was dropped: no class was sure enough to be given"),
    "outlier_score": (pa.float64(), "probability of the likeliest class; null where it is not known"),
    "is_near_duplicate_issue": (pa.bool_(), "another train or val image is in its group of near-duplicates"),
    "near_duplicate_score": (pa.float64(), "0 where there is one, else 1: nothing between is measured"),
    "near_duplicate_sets": (pa.list_(pa.int64()), "rows of these others"),
    "id": (pa.string(), "of the image"),
    "name": (pa.string(), "path inside the source"),
    "split": (pa.string(), "train or val"),
    "label": (pa.string(), "class now; null when dropped"),
    "action": (pa.string(), "keep, drop or relabel"),
    "reason": (pa.string(), "of the verdict that decided; empty where the image was kept as delivered"),
}
DATALAB_SCHEMA = schema_of(DATALAB)


def issues(images: Sequence[Judged]) -> pa.Table:
    """A row of DATALAB for each image, in their order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(images):
        groups[one.group].append(row)
    alike = [groups[one.group] for one in images]  # rows of its group, its own among them
    columns: dict[str, list[Any]] = {
        "is_label_issue": [one.action != KEEP for one in images],
        "label_score": [one.quality for one in images],
        "given_label": [one.given for one in images],
        "predicted_label": [one.predicted for one in images],
        "is_outlier_issue": [one.action == DROP for one in images],
        "outlier_score": [one.confidence for one in images],
        "is_near_duplicate_issue": [len(rows) > 1 for rows in alike],
        "near_duplicate_score": [0.0 if len(rows) > 1 else 1.0 for rows in alike],
        "near_duplicate_sets": [[other for other in rows if other != row] for row, rows in enumerate(alike)],
        **{name: [getattr(one, name) for one in images] for name in ("id", "name", "split", "label", "action")},
        "reason": [one.reason for one in images],
    }
    return pa.Table.from_pydict(columns, schema=DATALAB_SCHEMA)


def as_csv(table: pa.Table) -> bytes:
    """The table as CSV in UTF-8: null is empty, a list is JSON, and no spreadsheet takes a text for a formula."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(table.column_names)
    for batch in table.to_batches(max_chunksize=1024):
        writer.writerows([_cell(value) for value in row.values()] for row in batch.to_pylist())
    return sink.getvalue().encode()


def _cell(value: object) -> str:
    if isinstance(value, str):
        return disarmed(" ".join(value.splitlines()))
    return "" if value is None else json.dumps(value) if isinstance(value, list) else str(value)
