"""Append decisions to overrides.csv or checked.csv, so that neither a kill nor another writer loses a row.

The file is replaced whole (``winnow.pipeline.durable``), under a lock that every writer here takes: a row is in it,
whole and on the disk, or it is not. What people wrote by hand stays as it is, byte for byte, but for a header that
lacks the columns time and hash.
"""

import contextlib
import csv
import fcntl
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from winnow.pipeline.files import write_bytes
from winnow.pipeline.messages import UserError
from winnow.pipeline.spreadsheet import disarmed
from winnow.verdicts.decision_rows import HEADER, WRITTEN, DecisionRow, is_header, moment, parse_decision_rows

LAST = datetime.max.replace(tzinfo=UTC)
MARK = "\ufeff"  # the byte order mark that spreadsheet programs write


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Exclude other writers of the file; the system releases the lock when the process ends, however it ends.

    The lock is a file of its own, beside: the file itself is replaced, and a lock on it would go with the old one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def append_decision(path: Path, row: DecisionRow) -> DecisionRow:
    """Append one row, as ``append_decisions`` does."""
    return append_decisions(path, [row])[0]


def append_decisions(path: Path, rows: Sequence[DecisionRow]) -> list[DecisionRow]:
    """Append rows, all or none of them; when this returns, they are as lasting as the disk.

    Args:
        path: of the file, which is made where it is missing.
        rows: in order; their lines do not matter. One without a time gets the present one, or a later one where a row
            of the file has a time that lies in the future, so that the newest row counts.

    Returns:
        The rows as they stand in the file, but for their lines.

    Raises:
        UserError: a row or the file is not valid, or there is no room on the disk; the file is as it was.
    """
    if not rows:
        return []
    path = Path(os.path.realpath(path))  # a link stays one
    with locked(path):
        text = _text(path)
        end, cells, latest = _scan(text, str(path))
        timed = _timed(rows, latest, str(path))
        lines = "".join(_line(_cells(row), end) for row in timed)
        read = parse_decision_rows(io.BytesIO((_line(HEADER, end) + lines).encode()), str(path))
        whole = text if text.endswith(("\n", "\r")) or not text.strip(MARK) else text + end
        write_bytes(path, (_with_columns(whole, cells, end) + lines).encode())
    return read


def with_times(path: Path, rows: Sequence[DecisionRow]) -> list[DecisionRow]:
    """The rows with the times that ``append_decisions`` would give them now, so that they can be checked before.

    Args:
        path: of the file.
        rows: in order.

    Raises:
        UserError: the file is not valid.
    """
    _, _, latest = _scan(_text(Path(os.path.realpath(path))), str(path))
    return _timed(rows, latest, str(path))


def _timed(rows: Sequence[DecisionRow], latest: datetime | None, where: str) -> list[DecisionRow]:
    timed: list[DecisionRow] = []
    for row in rows:
        timed.append(replace(row, time=row.time or _now(latest, where)))
        latest = _latest([timed[-1].time], latest)
    return timed


def write_decisions(path: Path, rows: Iterable[DecisionRow]) -> None:
    """Write rows that were read from such a file, as they stand there, in the place of what the file has.

    Args:
        path: of the file.
        rows: in order.
    """
    path = Path(os.path.realpath(path))
    cells = [(one.sample, one.action, one.label, one.by, one.note, one.time, one.hash) for one in rows]
    with locked(path):
        write_bytes(path, "".join(_line(one, "\n") for one in [HEADER, *cells]).encode())


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8; save it as CSV in UTF-8") from None


def _scan(text: str, where: str) -> tuple[str, list[str], datetime | None]:
    """The file's line end, its header (empty: it has none), and the latest time of its rows.

    Raises:
        UserError: an open quote would swallow the new row, or the columns have other names.
    """
    end = next((end for end in ("\r\n", "\n", "\r") if end in text), "\n")
    header: list[str] = []
    times: list[str] = []
    for cells in _strict(csv.reader(io.StringIO(text.removeprefix(MARK), newline=""), strict=True), where):
        if header:
            times += cells[len(WRITTEN) : len(WRITTEN) + 1]
        else:
            header = _trimmed(cells)
    if header and not is_header(header):
        raise UserError(f"{where}: the columns must be {','.join(HEADER)}, got {','.join(header)[:80]!r}; name them so")
    return end, header, _latest(times)


def _latest(times: Iterable[str], before: datetime | None = None) -> datetime | None:
    """The latest of the times and the one before; what is no time is reported where the rows are read."""
    for time in times:
        with contextlib.suppress(ValueError, OverflowError):
            found = moment(time.strip())
            before = found if before is None else max(before, found)
    return before


def _strict(reader: Iterable[list[str]], where: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f"{where} is no CSV ({error}); mend its quotes") from None


def _trimmed(cells: list[str]) -> list[str]:
    """Without the empty cells at the end."""
    kept = list(cells)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


def _with_columns(text: str, header: list[str], end: str) -> str:
    """The text with the header that has all columns; the rows after it stay as they are."""
    mark, body = (MARK, text[1:]) if text.startswith(MARK) else ("", text)
    if len(header) == len(HEADER):
        return text
    lines = body.splitlines(keepends=True)
    first = next((place for place, line in enumerate(lines) if line.strip(' ,"\t\r\n')), len(lines))
    return mark + "".join([*lines[:first], _line(HEADER, end), *lines[first + 1 :]])


def _now(latest: datetime | None, where: str) -> str:
    now = datetime.now(UTC)
    if latest is not None and latest >= now:  # another machine's clock, or this one's before it was set back
        if latest == LAST:
            raise UserError(f"{where}: a row has the time {latest.isoformat()}, after which none can come; correct it")
        now = latest + timedelta(microseconds=1)
    return now.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _cells(row: DecisionRow) -> tuple[str, ...]:
    """The cells, such that no spreadsheet runs them; a note is one line."""
    by, note = (" ".join(text.split()) for text in (row.by, row.note))
    return (disarmed(row.sample), row.action, disarmed(row.label), disarmed(by), disarmed(note), row.time, row.hash)


def _line(cells: tuple[str, ...], end: str) -> str:
    return ",".join(_quoted(cell) for cell in cells) + end


def _quoted(cell: str) -> str:
    """A cell as CSV; Python's own writer leaves a bare carriage return outside quotes, where it ends a line."""
    odd = any(mark in cell for mark in ',"\r\n') or cell != cell.strip()
    return '"' + cell.replace('"', '""') + '"' if odd else cell
