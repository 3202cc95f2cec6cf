"""truth.csv: the true content of a source's images, used only to measure a refinement.

Columns name, label, noise. ``name`` is a path inside the source; ``label`` the true class, empty for junk; ``noise`` is
empty, 0, false, no or none for an image that shows a class, or label for one that only has a wrong label, and any other
word, such as 1 or scribble, for junk.
"""

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from winnow.intake.listing import read_rows
from winnow.pipeline.messages import UserError, shown

TRUTH = "truth.csv"


COLUMNS = ("name", "label", "noise")


NOT_NOISE = frozenset({"", "0", "0.0", "false", "f", "no", "n", "none", "null", "nan", "label"})


@dataclass(frozen=True)
class Truth:
    """What one image really shows."""

    label: str | None  # None for junk
    noise: bool


def parse_truth(content: bytes, where: str) -> dict[str, Truth]:
    """The rows of truth.csv by name, in file order.

    Args:
        content: the file's bytes, UTF-8.
        where: the source as messages name it.

    Raises:
        UserError: no CSV, a column missing, or two rows that contradict each other.
    """
    truths: dict[str, Truth] = {}
    for row in read_rows(content, TRUTH, COLUMNS, where):
        name = unicodedata.normalize("NFC", row["name"] or "")
        label = unicodedata.normalize("NFC", row["label"] or "").strip()
        noise = not label or (row["noise"] or "").strip().lower() not in NOT_NOISE
        truth = Truth(None if noise else label, noise)
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
    unknown = [label for label in labels if label not in classes]
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


def match_names(listed: Iterable[str], names: Iterable[str], wrapper: str) -> dict[str, str]:
    """Which sample each name of truth.csv means.

    Args:
        listed: names as truth.csv has them: whole, with the folders around the layout, or only a path's last parts.
        names: the samples' names.
        wrapper: the folders around the layout, "" or ending in /.

    Returns:
        listed name -> sample name; names that match none, or several, are absent.
    """
    whole = set(names)
    endings: dict[str, str | None] = {}
    for name in whole:
        parts = name.split("/")
        for start in range(1, len(parts)):
            ending = "/".join(parts[start:])
            endings[ending] = None if ending in endings else name
    matched = {}
    for name in listed:
        tidy = name.replace("\\", "/").removeprefix("./").removeprefix("/")  # as other systems write paths
        for known in (name, tidy, tidy.removeprefix(wrapper)):
            if known in whole:
                matched[name] = known
                break
        else:
            if (meant := endings.get(tidy)) is not None:
                matched[name] = meant
    return matched
