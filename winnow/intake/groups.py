"""groups.csv: which images of a source belong together for another reason than their looks.

Columns name, group. ``name`` is a path inside the source; ``group`` any word, the same for one person, one scene or one
burst of a camera; empty for an image that belongs to nothing.
"""

import unicodedata

from winnow.intake.listing import read_rows
from winnow.pipeline.messages import UserError, shown

GROUPS = "groups.csv"


COLUMNS = ("name", "group")


def parse_groups(content: bytes, where: str) -> dict[str, str]:
    """The group of each name that has one, in file order.

    Args:
        content: the file's bytes, UTF-8.
        where: the source as messages name it.

    Raises:
        UserError: no CSV, a column missing, or a name in two groups.
    """
    groups: dict[str, str] = {}
    for row in read_rows(content, GROUPS, COLUMNS, where):
        name = unicodedata.normalize("NFC", row["name"] or "")
        group = unicodedata.normalize("NFC", row["group"] or "").strip()
        if groups.setdefault(name, group) != group:
            raise UserError(f"{where}: {GROUPS} puts {shown(name)} into two groups; keep one of the two rows")
    return {name: group for name, group in groups.items() if group}
