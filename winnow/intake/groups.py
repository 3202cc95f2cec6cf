"""groups.csv: which images of a source belong together for another reason than their looks.

Columns name, group. ``name`` is a path inside the source; ``group`` any word, the same for one person, one scene or one
burst of a camera; empty for an image that belongs to nothing.
"""

import unicodedata
from typing import BinaryIO

from winnow.intake.listing import read_rows
from winnow.pipeline.messages import UserError, shown

GROUPS = "groups.csv"


COLUMNS = ("name", "group")


def parse_groups(file: BinaryIO, where: str, *, entries: int) -> dict[str, str]:
    """The group of each name that has one, in file order.

    Args:
        file: CSV in UTF-8, read one row at a time.
        where: the source as messages name it.
        entries: files of the source, which bound the rows.

    Raises:
        UserError: no CSV, a column missing, too many rows, or a name in two groups.
    """
    groups: dict[str, str] = {}
    for name, group in read_rows(file, GROUPS, COLUMNS, where, entries=entries):
        name, group = unicodedata.normalize("NFC", name), unicodedata.normalize("NFC", group).strip()
        if groups.setdefault(name, group) != group:
            raise UserError(f"{where}: {GROUPS} puts {shown(name)} into two groups; keep one of the two rows")
    return {name: group for name, group in groups.items() if group}
