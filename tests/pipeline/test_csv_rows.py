import csv
import io
import tracemalloc
from collections.abc import Iterator
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.pipeline.csv_rows import ROW_CHARACTERS, csv_rows, row_limit
from winnow.pipeline.messages import UserError


def rows(content: bytes, most: int = 100) -> list[tuple[int, list[str]]]:
    return list(csv_rows(io.BytesIO(content), "x.csv", most=most))


def refused(content: bytes | BinaryIO, most: int = 100) -> str:
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    with pytest.raises(UserError) as caught:
        list(csv_rows(file, "x.csv", most=most))
    return str(caught.value)


def test_rows_have_the_line_on_which_they_begin() -> None:
    content = '\ufeffa,b\r\n"1\n2",ü\r\r\n3'.encode()
    assert rows(content) == [(1, ["a", "b"]), (2, ["1\n2", "ü"]), (4, []), (5, ["3"])]


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2)))
def test_whatever_a_csv_writer_writes_is_read(told: list[list[str]]) -> None:
    sink = io.StringIO(newline="")
    csv.writer(sink, quoting=csv.QUOTE_ALL).writerows(told)
    assert [cells for _, cells in rows(sink.getvalue().encode())] == told


def test_every_line_is_looked_at_before_it_is_parsed() -> None:
    seen = []
    list(csv_rows(io.BytesIO(b'a\n"b\nc"\n'), "x", most=9, look=lambda number, line: seen.append((number, line))))
    assert seen == [(1, "a\n"), (2, '"b\n'), (3, 'c"\n')]


def test_no_csv() -> None:
    assert refused(b"a\n\xff\n") == "x.csv is no text in UTF-8; save it as CSV in UTF-8"
    assert refused(b'a\n"b\n') == "x.csv, line 2: no CSV (unexpected end of data); mend the row's quotes"


def test_too_many_rows() -> None:
    assert len(rows(b"a\n" * 3, most=3)) == 3
    assert refused(b"a\n" * 4, most=3) == "x.csv has more than 3 rows, far more than images; keep the rows of these"
    assert row_limit(100) == 1400


class Endless(io.RawIOBase):
    """A file without end, or until somebody has read a gigabyte of it."""

    def __init__(self, begin: bytes, again: bytes) -> None:
        self.parts = self._parts(begin, again)

    def _parts(self, begin: bytes, again: bytes) -> Iterator[bytes]:
        yield begin
        for _ in range(2**30 // len(again)):
            yield again

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = next(self.parts, b"")
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize(
    ("begin", "again", "message"),
    [
        (b"a\n", b"x" * 4096, "x.csv, line 2: no CSV (the row has more than 65,536 characters); mend the row's quotes"),
        (b'a\n"', b"xy\n" * 1000, "x.csv, line 2: no CSV (the row has more than 65,536 characters)"),
        (b'a\n"', b'","x\n' * 1000, "x.csv, line 2: no CSV (the row has more than 65,536 characters)"),
        (b"a\n", b"x\n" * 1000, "x.csv has more than 5,000 rows"),
    ],
    ids=["one line", "one cell", "one row", "many rows"],
)
def test_whatever_is_too_long_is_refused_in_little_memory(begin: bytes, again: bytes, message: str) -> None:
    assert ROW_CHARACTERS == 65_536
    tracemalloc.start()
    told = refused(io.BufferedReader(Endless(begin, again)), most=5000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told.startswith(message)
    assert peak < 2_000_000
