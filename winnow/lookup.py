"""Which file of a source a person means: by id, by name, or by the end of a name."""

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from winnow.command import plain
from winnow.stage import UserError

SHOWN = 10  # candidates that a message names
NEAR = 3  # suggestions for an unknown name


@dataclass(frozen=True)
class Delivered:
    """A file of the source, as prepare found it."""

    name: str
    id: str | None = None  # None for a file that is no image
    split: str = ""
    label: str = ""
    kept_in: str = ""  # the split that holds the same pixels, where the image was left out for that
    rejected: str = ""  # why the file is no image

    @property
    def is_sample(self) -> bool:
        """Whether prepare made a sample of it."""
        return not self.kept_in and not self.rejected


def find(wanted: str, files: Sequence[Delivered]) -> Delivered:
    """The one file meant: its id, else its name, else the end of its name in whole parts (``v/3.png``).

    A path that itself ends in a name, as a shell completes it, means that name.

    Raises:
        UserError: none is meant, or several are; the message names candidates.
    """
    wanted = unicodedata.normalize("NFC", wanted)  # as names are held; a shell may complete them otherwise
    for meant in (
        [file for file in files if wanted in (file.id, file.name)],
        [file for file in files if _ends(file.name, wanted)],
        [file for file in files if _ends(wanted, file.name)],
    ):
        if len(meant) == 1:
            return meant[0]
        if meant:
            names = ", ".join(plain(file.name) for file in meant[:SHOWN])
            more = f" and {len(meant) - SHOWN:,} more" if len(meant) > SHOWN else ""
            raise UserError(
                f"{plain(wanted)} fits {len(meant):,} files: {names}{more}; give more of the path, or the id"
            )
    near = suggest(wanted, [file.name for file in files])
    hint = f"did you mean {' or '.join(map(plain, near))}?" if near else "data/prepared/samples.parquet lists the names"
    raise UserError(f"{plain(wanted)} is no file of this source; {hint}")


def suggest(wanted: str, names: Sequence[str]) -> list[str]:
    """The names nearest to one, the nearest first; compared in as many of their last parts as it has itself."""
    parts = wanted.strip("/").count("/") + 1
    by_end: dict[str, str] = {}
    for name in names:
        by_end.setdefault("/".join(name.split("/")[-parts:]).casefold(), name)
    near = difflib.get_close_matches(wanted.strip("/").casefold(), by_end, n=NEAR, cutoff=0.6)
    return [by_end[end] for end in near]


def _ends(name: str, end: str) -> bool:
    return end.strip("/") != "" and name.endswith("/" + end.strip("/"))
