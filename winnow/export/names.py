"""Names of an export's folders and files: safe on every system, read by loaders, as near to the source's as can be.

torchvision's ImageFolder and Hugging Face's imagefolder choose files by their suffix and read them by their content. A
file whose suffix one of them skips is given a suffix of its format; its bytes are not touched.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MAX_BYTES = 100  # of a folder's name; a path of some systems ends at 260


MAX_FILE_BYTES = 120  # of a file's name, before an id is appended


PATTERN = frozenset("[]")  # a glob reads them as a pattern in a folder's name; in a file's they do no harm


EXPANDED = frozenset("$")  # Hugging Face puts the value of an environment variable in the place of its name


FORBIDDEN = frozenset('<>:"/\\|?*') | PATTERN | EXPANDED  # the first are Windows's


# Windows knows these as devices, whatever their extension.
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


# Hugging Face takes a folder with one of these words for a split, wherever in the path it stands.
SPLIT_WORDS = re.compile(
    r"(^|[-._ 0-9])(train|training|validation|valid|dev|val|test|testing|eval|evaluation)([-._ 0-9]|$)", re.IGNORECASE
)


STAND_IN = re.compile(r"class_[0-9]+", re.IGNORECASE)


TORCHVISION = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})


# Suffixes of the formats that prepare decodes, the first of each given to a file whose own suffix a loader skips.
SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),  # one family, told apart by its first bytes
    "GIF": (".gif",),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "ICO": (".ico",),
    "DIB": (".dib",),
    "AVIF": (".avif", ".avifs"),
}


IMAGE_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)


HUGGING_FACE = IMAGE_SUFFIXES - {".avif", ".avifs", ".mpo", ".pfm"}


LOADERS: Mapping[str, frozenset[str]] = {  # by loader the suffixes that it reads, among IMAGE_SUFFIXES
    "torchvision's ImageFolder": TORCHVISION,
    "Hugging Face's imagefolder": HUGGING_FACE,
}


@dataclass(frozen=True, slots=True)
class Exported:
    """An image that is exported."""

    id: str
    folder: str  # that it lies in, from the export's root
    name: str  # path inside the source; empty for a copy, which has none of its own
    format: str  # of its content, a key of SUFFIXES; may be empty where its suffix is one that every loader reads


def suffix_of(name: str) -> str:
    """The suffix of a file's name with its dot, lower case; empty where it has none, or is nothing but a suffix."""
    stem, _, suffix = name.rpartition(".")
    return f".{suffix}".lower() if suffix and stem.strip(".") else ""


def read_by_all(name: str) -> bool:
    """Whether every loader reads a file of that name, whichever image it holds."""
    return suffix_of(name) in TORCHVISION & HUGGING_FACE


def file_names(images: Sequence[Exported]) -> dict[str, str]:
    """By id, a file's name: the last part of its name in the source where that can be.

    Where two of a folder were the same without regard to case and to how accents are written, each has its id before
    the suffix. A name that is not safe becomes ``<id><suffix>``, and so is a copy's.
    """
    options = {one.id: _options(one) for one in images}
    folders = {one.id: one.folder for one in images}
    level = {one.id: 0 if _is_safe_file(options[one.id][0]) else 2 for one in images}
    while True:
        same: dict[tuple[str, str], list[str]] = defaultdict(list)
        for identifier, names in options.items():
            same[folders[identifier], _folded(names[level[identifier]])].append(identifier)
        alike = [identifier for ids in same.values() if len(ids) > 1 for identifier in ids if level[identifier] < 2]
        if not alike:
            return {identifier: names[level[identifier]] for identifier, names in options.items()}
        for identifier in alike:
            level[identifier] += 1


def _options(one: Exported) -> tuple[str, str, str]:
    """The file's own name, the same with its id, and its id alone; each with a suffix that loaders read, if any is."""
    own = one.name.rpartition("/")[2]
    suffix = suffix_of(own)
    stem, shown = (own[: -len(suffix)], own[-len(suffix) :]) if suffix else (own, "")
    if one.format and suffix not in _kept(one.format):
        stem = stem if suffix in IMAGE_SUFFIXES else own  # "v1.5" and "scan.dat" keep what follows their last dot
        shown = SUFFIXES[one.format][0]
    return stem + shown, f"{stem}-{one.id}{shown}", f"{one.id}{shown.lower()}"


def _kept(kind: str) -> frozenset[str]:
    """Suffixes that a file of the format keeps: those that every loader reads, or else its format's own."""
    right = frozenset(SUFFIXES[kind])
    return TORCHVISION if right & TORCHVISION else right | TORCHVISION


def skipped(files: Iterable[str]) -> dict[str, list[str]]:
    """By loader the files that it skips because of their suffix."""
    found: dict[str, list[str]] = {loader: [] for loader in LOADERS}
    for file in files:
        suffix = suffix_of(file)
        for loader, read in LOADERS.items():
            if suffix not in read:
                found[loader].append(file)
    return found


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
        _is_safe_anywhere(name)
        and not name.startswith("__")
        and not PATTERN & set(name)
        and len(name.encode()) <= MAX_BYTES
        and unicodedata.is_normalized("NFC", name)
        and not SPLIT_WORDS.search(name)
        and not STAND_IN.fullmatch(name)
    )


def _is_safe_file(name: str) -> bool:
    """As a folder's name, but split words and a leading ``__`` are read, and accents may be written in two parts."""
    return _is_safe_anywhere(name) and len(name.encode()) <= MAX_FILE_BYTES


def _is_safe_anywhere(name: str) -> bool:
    return (
        name.isprintable()
        and name != ""
        and name == name.strip(" .")
        and not (FORBIDDEN - PATTERN) & set(name)
        and not DEVICES.fullmatch(name)
    )


def _folded(name: str) -> str:
    """Equal for names that some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
