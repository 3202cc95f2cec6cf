"""What the stage says when it has ended: counts, and what is not as people may expect."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from winnow.export.names import skipped, suffix_of
from winnow.pipeline.messages import shown

EXAMPLES = 3  # names shown of each kind


def closing(listed: pa.Table, export: Path, *, corrected: int) -> str:
    """One line about an export.

    Args:
        listed: its manifest.
        export: its folder.
        corrected: rows of corrections.csv.
    """
    rows = listed.to_pylist()
    splits = Counter(row["split"] for row in rows)
    own = [(row["name"], row["file"]) for row in rows if row["parent"] is None]
    renamed = [name for name, file in own if name.rpartition("/")[2] != file.rpartition("/")[2]]
    folders = sorted({row["label"] for row in rows if row["label"] != row["folder"]})
    parts = [
        f"{splits['train']} train and {splits['val']} val images in {export}, {len(rows) - len(own)} of them copies",
        f"{corrected} corrections",
        f"{len(renamed)} images under another file name{_first(renamed)}",
        f"{len(folders)} classes under another folder name{_first(folders)}",
    ]
    for loader, files in skipped([row["file"] for row in rows]).items():
        if files:
            kinds = ", ".join(sorted({suffix_of(file) for file in files}))
            parts.append(f"{loader} skips {len(files)} images ({kinds}){_first(files)}")
    return "; ".join(parts)


def _first(names: Sequence[str]) -> str:
    """The first of some names, after a colon; nothing where there are none."""
    return f": {', '.join(map(shown, names[:EXAMPLES]))}" if names else ""
