"""What the stage says when it has ended: counts, and what is not as people may expect."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

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
    splits = Counter({one["values"]: one["counts"] for one in pc.value_counts(listed["split"]).to_pylist()})
    source = listed.filter(listed["parent"].is_null())
    own = pc.equal(*(pc.replace_substring_regex(source[name], "(?s)^.*/", "") for name in ("name", "file")))
    renamed = source["name"].filter(pc.invert(own))
    odd = listed.filter(pc.not_equal(listed["label"], listed["folder"]))["label"]
    folders = sorted(pc.unique(odd).to_pylist())
    parts = [
        f"{splits['train']} train and {splits['val']} val images in {export}, {len(listed) - len(source)} of them "
        "copies",
        f"{corrected} corrections",
        f"{len(renamed)} images under another file name{_first(renamed[:EXAMPLES].to_pylist())}",
        f"{len(folders)} classes under another folder name{_first(folders)}",
    ]
    for loader, files in skipped(one.as_py() for one in listed["file"]).items():
        if files:
            kinds = ", ".join(sorted({suffix_of(file) for file in files}))
            parts.append(f"{loader} skips {len(files)} images ({kinds}){_first(files)}")
    return "; ".join(parts)


def _first(names: Sequence[str]) -> str:
    """The first of some names, after a colon; nothing where there are none."""
    return f": {', '.join(map(shown, names[:EXAMPLES]))}" if names else ""
