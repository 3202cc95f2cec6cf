"""The leaks that prepare removed: each with the image that it belongs to, and both pictures where prepare stored them.

    <prepared>/leaks/images/<hash>.parquet    the images left out and those that keep them out, the test set's too

An image of the test set has a picture here only by that folder: nothing but prepare and the judge reads the test set.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from winnow.pipeline.files import read_table
from winnow.report.page import FILES_SHOWN, Leak, Leaks
from winnow.report.pictures import pictures_of

EXACT = "exact"  # the kind of every leak of a table without kinds


def read_leaks(prepared: Path, samples: pa.Table, *, limit: int) -> Leaks:
    """The leaks that the page shows, the first of the table, with their pictures; the others are counted.

    Args:
        prepared: folder of the dataset as delivered.
        samples: its table, for the names of what was kept.
        limit: bytes of a picture, at most.

    Raises:
        UserError: the table is missing, or it, an image or a shard is damaged.
    """
    table = read_table(prepared / "leaks.parquet")
    found = pc.unique(table["kind"]).to_pylist() if "kind" in table.column_names else [EXACT] * min(1, len(table))
    kinds = list(dict.fromkeys(kind or EXACT for kind in found))
    rows = table.slice(0, FILES_SHOWN).to_pylist()
    ids = {row.get(key) for row in rows for key in ("id", "kept_id")} - {None}
    named = samples.select(["id", "name"]).filter(pc.is_in(samples["id"], pa.array(sorted(ids), pa.string())))
    names = dict(zip(*named.to_pydict().values(), strict=True))
    pictures = pictures_of(prepared / "leaks", ids, limit=limit, if_stored=True)
    shown = [
        Leak(
            name=row["name"],
            label=row["label"],
            split=row["split"],
            kept_in=row["kept_in"],
            kind=row.get("kind") or EXACT,
            kept_name=names.get(row.get("kept_id")),
            pictures=(pictures.get(row["id"]), pictures.get(row.get("kept_id"))),
        )
        for row in rows
    ]
    return Leaks(shown, table.num_rows, kinds)
