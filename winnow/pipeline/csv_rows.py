"""CSV that people and their programs write, read one row at a time and within bounds.

An open quote can make one row of a whole file, and a file of another source can have millions of rows: neither may
take the memory that it asks for.
"""

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from typing import BinaryIO

from winnow.pipeline.messages import UserError

ROW_CHARACTERS = 65_536  # of one row, line ends within quotes included


def row_limit(things: int) -> int:
    """How many rows a file about so many files or images may have: each may be named in several ways."""
    return 4 * things + 1000


def csv_rows(
    file: BinaryIO, where: str, *, most: int, look: Callable[[int, str], None] | None = None
) -> Iterator[tuple[int, list[str]]]:
    """The line on which each row begins, from 1, and its cells; empty rows too.

    Args:
        file: CSV in UTF-8 with commas, with or without a byte order mark, with any line ends; it is closed at the end.
        where: the file as messages name it.
        most: rows allowed, the header included.
        look: called with each line's number and text before it is parsed.

    Raises:
        UserError: no such CSV, a row that is too long, or too many rows.
    """
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        lines = _Lines(text, look)
        reader = csv.reader(lines, strict=True)
        for count in itertools.count(1):
            line, lines.characters = reader.line_num + 1, 0
            try:
                cells = next(reader, None)
            except UnicodeDecodeError:
                raise UserError(f"{where} is no text in UTF-8; save it as CSV in UTF-8") from None
            except csv.Error as error:
                raise UserError(f"{where}, line {line}: no CSV ({error}); mend the row's quotes") from None
            if cells is None:
                return
            if count > most:
                raise UserError(f"{where} has more than {most:,} rows, far more than images; keep the rows of these")
            yield line, cells


class _Lines:
    """The lines of a text, with their ends; one that makes the row too long is a csv.Error."""

    def __init__(self, text: io.TextIOWrapper, look: Callable[[int, str], None] | None) -> None:
        self._text, self._look, self._number = text, look, 0
        self.characters = 0  # of the present row so far

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(ROW_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self.characters += len(line)
        if self.characters > ROW_CHARACTERS:
            raise csv.Error(f"the row has more than {ROW_CHARACTERS:,} characters")
        if self._look:
            self._look(self._number, line)
        return line
