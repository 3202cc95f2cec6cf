"""Folder names for classes, whatever the classes are called: safe on every system and to every loader of folders."""

import re
import unicodedata
from collections.abc import Sequence

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
    than MAX_BYTES, and told apart from every other name without regard to case or to how accents are written.
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
