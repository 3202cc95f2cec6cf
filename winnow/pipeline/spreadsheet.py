"""Cells of CSV files that people open in a spreadsheet, which takes some texts for formulas and runs them.

OWASP's way: such a text gets an apostrophe before it, which spreadsheets read as "this is text", and so does a text
that begins with one itself. A leading apostrophe is hence never part of the text.
"""

import re

# Full-width forms count where the spreadsheet runs in Japanese or Chinese; control characters may be dropped by the
# spreadsheet, so that what follows them comes first.
FORMULA = re.compile(r"[=+\-@＝＋－＠'\x00-\x1f\x7f]")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)


def disarmed(cell: str) -> str:
    """The cell as text in any spreadsheet; a plain number, a class ``-1`` say, as it is."""
    return f"'{cell}" if FORMULA.match(cell) and not NUMBER.fullmatch(cell) else cell


def spellings(cell: str) -> tuple[str, ...]:
    """What a cell that a person wrote or copied may mean, the likelier first: with blanks, with ``disarmed``'s mark."""
    return cell, cell.strip(), cell.removeprefix("'"), cell.strip().removeprefix("'")
