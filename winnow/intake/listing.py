"""The CSV files that a source may bring beside its images."""

import csv
import io
from collections.abc import Sequence

from winnow.pipeline.messages import UserError, shown


def read_rows(content: bytes, file: str, columns: Sequence[str], where: str) -> list[dict[str, str | None]]:
    """The rows of a CSV by column, in file order; column names are lower case, others than those asked for are kept.

    Args:
        content: the file's bytes, UTF-8.
        file: its name, for messages.
        columns: that it must have.
        where: the source as messages name it.

    Raises:
        UserError: no CSV, or a column missing.
    """
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [(column or "").strip().lower() for column in reader.fieldnames or []]
        if not set(columns) <= set(header):
            found = ", ".join(header) or "none"
            raise UserError(f"{where}: {file} needs the columns {', '.join(columns)}, got {shown(found)}; name them so")
        reader.fieldnames = header
        return list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{where}: {file} is no CSV in UTF-8 ({error}); save it as one") from None
