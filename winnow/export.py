"""The refined dataset as folders of images, with a manifest that says where each came from.

Folder names are safe on every system and for every loader, whatever the classes are called.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pyarrow as pa

from winnow.dataset.samples import SAMPLES, class_names, labels_by_id
from winnow.pipeline.files import Columns, schema_of
from winnow.verdicts.fates import fates
from winnow.verdicts.ledger import VERDICTS

MANIFEST: Columns = {
    "file": (pa.string(), "path from the export's root"),
    "folder": (pa.string(), "folder of the class: its name, or `class_<index>` where that is no safe folder name"),
    **{name: SAMPLES[name] for name in ("id", "name", "split", "label", "given_label", "origin", "parent")},
    "round": (pa.string(), "round of the last verdict on the image; null, as what follows, where there was none"),
    "stage": (pa.string(), "stage of that verdict"),
    **{name: VERDICTS[name] for name in ("action", "reason", "support")},
}
MANIFEST_SCHEMA = schema_of(MANIFEST)


def manifest(samples: pa.Table, ledger: pa.Table) -> pa.Table:
    """One row per sample, in table order.

    Args:
        samples: of a dataset.
        ledger: every verdict, in order.

    Returns:
        A table of MANIFEST_SCHEMA. The verdict is the last that left the sample as it is.
    """
    folders = folder_names(class_names(samples))
    fate = fates(labels_by_id(samples, "given_label"), ledger, labels_by_id(samples))
    rows = []
    for sample in samples.to_pylist():
        folder = folders[sample["label"]]
        place = {"file": f"{sample['split']}/{folder}/{sample['id']}.png", "folder": folder}
        verdict = fate[sample["id"]].confirming
        row = (asdict(verdict) if verdict else {}) | sample | place
        rows.append({name: row.get(name) for name in MANIFEST_SCHEMA.names})
    return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)


def missing_classes(samples: pa.Table) -> Iterator[tuple[str, str]]:
    """Split and class, where a class has no image: a loader that numbers a split's own folders skips it."""
    there = set(zip(samples["split"].to_pylist(), samples["label"].to_pylist(), strict=True))
    for split in ("train", "val"):
        yield from ((split, name) for name in class_names(samples) if (split, name) not in there)


MAX_BYTES = 100  # of a name; a path of some systems ends at 260


FORBIDDEN = frozenset('<>:"/\\|?*[]')  # Windows's, and what a glob reads as a pattern


# Windows knows these as devices, whatever their extension.
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


# Hugging Face takes a folder with one of these words for a split, wherever in the path it stands.
SPLIT_WORDS = re.compile(
    r"(^|[-._ 0-9])(train|training|validation|valid|dev|val|test|testing|eval|evaluation)([-._ 0-9]|$)", re.IGNORECASE
)


STAND_IN = re.compile(r"class_[0-9]+", re.IGNORECASE)


def folder_names(classes: Sequence[str]) -> dict[str, str]:
    """By class, its own name where that is a safe folder name, else ``class_<index>``; no two are alike.

    Safe means: no separators, pattern characters or invisible ones; no leading dot or ``__`` (hidden to Hugging Face),
    no trailing dot or blank (Windows drops them), no device, no word that Hugging Face takes for a split, not longer
    than MAX_BYTES, and distinct from every other name without regard to case or to how accents are written.
    """
    taken: set[str] = set()
    folders: dict[str, str] = {}
    for index, name in enumerate(classes):
        key = unicodedata.normalize("NFKC", name).casefold()
        safe = _is_safe(name) and key not in taken
        taken.add(key)
        folders[name] = name if safe else f"class_{index:04d}"
    return folders


def _is_safe(name: str) -> bool:
    return (
        name.isprintable()
        and name == name.strip(" .")
        and not name.startswith("__")
        and 0 < len(name.encode()) <= MAX_BYTES
        and not FORBIDDEN & set(name)
        and unicodedata.is_normalized("NFC", name)
        and not DEVICES.fullmatch(name)
        and not SPLIT_WORDS.search(name)
        and not STAND_IN.fullmatch(name)
    )
