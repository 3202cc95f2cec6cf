"""The CSV files that a source may bring beside its images."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from winnow.pipeline.csv_rows import csv_rows, row_limit
from winnow.pipeline.messages import UserError, shown


def read_rows(file: BinaryIO, name: str, columns: Sequence[str], where: str, *, entries: int) -> Iterator[list[str]]:
    """The cells of each row in the order of the columns asked for, in file order; a missing cell is empty.

    Columns are found by their names in any case; others are passed over, and so are empty rows.

    Args:
        file: CSV in UTF-8.
        name: the file's, for messages.
        columns: that it must have.
        where: the source as messages name it.
        entries: files of the source, which bound the rows.

    Raises:
        UserError: no CSV, a column missing, or more rows than the source can need.
    """
    rows = csv_rows(file, f"{where}: {name}", most=row_limit(entries))
    header = [cell.strip().lower() for cell in next(rows, (1, []))[1]]
    if not set(columns) <= set(header):
        found = ", ".join(header) or "none"
        raise UserError(f"{where}: {name} needs the columns {', '.join(columns)}, got {shown(found)}; name them so")
    places = {column: place for place, column in enumerate(header)}
    for _, cells in rows:
        if cells:
            yield [cells[places[column]] if places[column] < len(cells) else "" for column in columns]
