"""The leaks that prepare removed: each with the image that it belongs to, and both pictures where prepare stored them.

    <prepared>/leaks/images/<hash>.parquet    the images left out and those that keep them out, the test set's too

An image of the test set has a picture here only by that folder: nothing but prepare and the judge reads the test set.
"""

from pathlib import Path

import pyarrow as pa

from winnow.pipeline.files import read_table
from winnow.report.page import FILES_SHOWN, Leak
from winnow.report.pictures import pictures_of

EXACT = "exact"  # the kind of every leak of a table without kinds


def read_leaks(prepared: Path, samples: pa.Table, *, limit: int) -> list[Leak]:
    """The leaks, in the order of the table; those that the page shows have their pictures.

    Args:
        prepared: folder of the dataset as delivered.
        samples: its table, for the names of what was kept.
        limit: bytes of a picture, at most.

    Raises:
        UserError: the table is missing, or it, an image or a shard is damaged.
    """
    rows = read_table(prepared / "leaks.parquet").to_pylist()
    names = dict(zip(samples["id"].to_pylist(), samples["name"].to_pylist(), strict=True))
    ids = {row.get(key) for row in rows[:FILES_SHOWN] for key in ("id", "kept_id")} - {None}
    pictures = pictures_of(prepared / "leaks", ids, limit=limit, if_stored=True)
    leaks = []
    for row in rows:
        both = (pictures.get(row["id"]), pictures.get(row.get("kept_id")))
        leaks.append(
            Leak(
                name=row["name"],
                label=row["label"],
                split=row["split"],
                kept_in=row["kept_in"],
                kind=row.get("kind") or EXACT,
                kept_name=names.get(row.get("kept_id")),
                pictures=(both[0], both[1]),
            )
        )
    return leaks
