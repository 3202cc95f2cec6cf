"""truth.csv: the true content of a source's images, used only to measure a refinement.

Columns name, label, noise. ``name`` is a path inside the source; ``label`` the true class, empty for junk; ``noise`` is
empty, 0, false, no or none for an image that shows a class, or label for one that only has a wrong label, and any other
word, such as 1 or scribble, for junk.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from winnow.intake.listing import read_rows
from winnow.pipeline.messages import UserError, shown

Said = TypeVar("Said")


TRUTH = "truth.csv"


COLUMNS = ("name", "label", "noise")


NOT_NOISE = frozenset({"", "0", "0.0", "false", "f", "no", "n", "none", "null", "nan", "label"})


@dataclass(frozen=True)
class Truth:
    """What one image really shows."""

    label: str | None  # None for junk
    noise: bool


def parse_truth(file: BinaryIO, where: str, *, entries: int) -> dict[str, Truth]:
    """The rows of truth.csv by name, in file order.

    Args:
        file: CSV in UTF-8, read one row at a time.
        where: the source as messages name it.
        entries: files of the source, which bound the rows.

    Raises:
        UserError: no CSV, a column missing, too many rows, or two rows that contradict each other.
    """
    truths: dict[str, Truth] = {}
    same: dict[Truth, Truth] = {}  # one object for equal ones: there are as many as classes, and a row for each image
    for name, label, noise in read_rows(file, TRUTH, COLUMNS, where, entries=entries):
        name, label = unicodedata.normalize("NFC", name), unicodedata.normalize("NFC", label).strip()
        junk = not label or noise.strip().lower() not in NOT_NOISE
        truth = Truth(None if junk else label, junk)
        truth = same.setdefault(truth, truth)
        if truths.setdefault(name, truth) != truth:
            raise UserError(f"{where}: {TRUTH} has contradicting rows about {shown(name)}; keep one of the two rows")
    return truths


def unknown_labels(truths: Iterable[Truth], classes: Collection[str], where: str) -> int:
    """How many rows give a label that is no class of the source: an image of something else, or a misspelt name.

    Raises:
        UserError: a label differs from a class in case alone, or none is a class.
    """
    labels = [truth.label for truth in truths if truth.label is not None]
    folded = {name.casefold(): name for name in classes}
    known = set(classes)
    unknown = [label for label in labels if label not in known]
    for label in unknown:
        if label.casefold() in folded:
            raise UserError(
                f"{where}: {TRUTH} has the label {shown(label)}, the source the class "
                f"{shown(folded[label.casefold()])}; write them alike"
            )
    if labels and len(unknown) == len(labels):
        raise UserError(
            f"{where}: no label of {TRUTH} is a class of the source, {shown(labels[0])} first; write the names of the "
            "class folders"
        )
    return len(unknown)


def by_sample(
    listed: Mapping[str, Said], names: Collection[str], wrapper: str, file: str, where: str
) -> tuple[dict[str, Said], int]:
    """What a listing says of each sample, and how many of its rows name none.

    Args:
        listed: by name, as the listing has it.
        names: the samples' names.
        wrapper: the folders around the layout, "" or ending in /.
        file: the listing, as messages name it.
        where: the source, likewise.

    Raises:
        UserError: no row names a sample, or two rows contradict each other about one.
    """
    found: dict[str, Said] = {}
    matched = match_names(listed, names, wrapper)
    for row, name in matched.items():
        if found.setdefault(name, listed[row]) != listed[row]:
            raise UserError(f"{where}: {file} has contradicting rows about {shown(name)}; keep one of them")
    if listed and not matched:
        raise UserError(
            f"{where}: no row of {file} names exactly one image of the source, {shown(next(iter(listed)))} first; "
            "write paths inside the source"
        )
    return found, len(listed) - len(matched)


def match_names(listed: Iterable[str], names: Iterable[str], wrapper: str) -> dict[str, str]:
    """Which sample each name of a listing, such as truth.csv, means.

    Args:
        listed: names as truth.csv has them: whole, with the folders around the layout, or only a path's last parts.
        names: the samples' names.
        wrapper: the folders around the layout, "" or ending in /.

    Returns:
        listed name -> sample name; names that match none, or several, are absent.
    """
    whole = set(names)
    backwards: list[str] = []
    matched = {}
    for name in listed:
        tidy = name.replace("\\", "/").removeprefix("./").removeprefix("/")  # as other systems write paths
        for known in (name, tidy, tidy.removeprefix(wrapper)):
            if known in whole:
                matched[name] = known
                break
        else:
            backwards = backwards or sorted(known[::-1] for known in whole)
            if (meant := _ending_in(tidy, backwards)) is not None:
                matched[name] = meant
    return matched


def _ending_in(parts: str, backwards: Sequence[str]) -> str | None:
    """The one name that ends in a path and has more before it; None where none does, or several do.

    Args:
        parts: the path.
        backwards: the names, each from its last character to its first, sorted: those that end alike are neighbours.
    """
    end = f"/{parts}"[::-1]
    place = bisect_left(backwards, end)
    alike = [name for name in backwards[place : place + 2] if name.startswith(end)]
    return alike[0][::-1] if len(alike) == 1 else None
