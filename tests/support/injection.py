"""Faults at the project's own calls: the calls of a run, and one of them made to fail in the next.

A call is one that a line of ``winnow`` or ``stages`` makes, to whatever code. What it raises is raised in its place.
"""

import contextlib
import errno
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

from tests.support.imports import ROOT

# fmt: off
WRITES = frozenset({
    "NamedTemporaryFile", "TemporaryDirectory", "copyfile", "copytree", "fdopen", "fsync", "link", "makedirs", "mkdir",
    "mkdtemp", "mkstemp", "rename", "replace", "save", "save_file", "symlink", "write", "write_bytes", "write_table",
    "write_text",
})
READS = frozenset({
    "ParquetFile", "glob", "iter_batches", "iterdir", "load", "load_file", "memmap", "open", "read", "read_bytes",
    "read_csv", "read_row_group", "read_schema", "read_table", "read_text", "rglob", "scandir", "stat",
})
# fmt: on
NO_FILES = ("dataclasses", "str")  # whose functions have the same names
CALLS = ("call", "c_call")


@dataclass(frozen=True, order=True)
class Site:
    """A place in our code that calls something."""

    file: str
    line: int
    function: str
    owner: str  # module or type of what is called
    called: str

    @property
    def writes(self) -> bool:
        """Whether a full disk may meet the call."""
        return self.called in WRITES and self.owner not in NO_FILES

    @property
    def opens(self) -> bool:
        """Whether a failing disk may meet it."""
        return self.writes or (self.called in READS and self.owner not in NO_FILES)


@dataclass(frozen=True)
class Fault:
    """A call that fails."""

    site: Site
    occurrence: int  # of the site's calls in a run, from 0
    error: BaseException

    def __str__(self) -> str:
        where = f"{self.site.file}:{self.site.line}, {self.site.function} calls {self.site.owner}.{self.site.called}"
        return f"{self.error!r} at call {self.occurrence} of {where}"


@dataclass
class Calls:
    """A profiler, which counts the calls and lets one fail."""

    fault: Fault | None = None
    counts: Counter[Site] = field(default_factory=Counter)
    met: bool = False  # whether the fault's call was made
    _ours: dict[CodeType, str | None] = field(default_factory=dict)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event not in CALLS:
            return
        caller = frame if event == "c_call" else frame.f_back
        if caller is None or (file := self._file(caller.f_code)) is None:
            return
        called = argument.__name__ if event == "c_call" else frame.f_code.co_name
        if called.startswith("<"):  # a comprehension: its own calls count
            return
        owner = _owner(argument) if event == "c_call" else Path(frame.f_code.co_filename).stem
        site = Site(file, caller.f_lineno, caller.f_code.co_name, owner, called)
        self.counts[site] += 1
        if self.fault and site == self.fault.site and self.counts[site] == self.fault.occurrence + 1:
            self.met = True
            raise self.fault.error

    def _file(self, code: CodeType) -> str | None:
        """Of our code, but what runs as a module is imported, before a stage begins; None of others'."""
        if code not in self._ours:
            path = Path(code.co_filename)
            ours = code.co_name != "<module>" and any(path.is_relative_to(ROOT / top) for top in ("winnow", "stages"))
            self._ours[code] = str(path.relative_to(ROOT)) if ours else None
        return self._ours[code]


def _owner(function: Any) -> str:
    """The module of a function of C, or the type whose method it is."""
    return str(function.__module__ or type(function.__self__).__name__)


@contextlib.contextmanager
def watched(fault: Fault | None = None) -> Iterator[Calls]:
    """Count the calls of what runs here, threads that it starts included, and let one of them fail."""
    calls = Calls(fault)
    threading.setprofile(calls)
    sys.setprofile(calls)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def sampled(counts: Counter[Site], draw: Random, many: int) -> list[Fault]:
    """So many faults, of each kind in turn; every site is as likely as another, however often it calls."""
    sites = sorted(counts)
    writing = [site for site in sites if site.writes]
    files = [site for site in sites if site.opens]
    kinds = ((errno.ENOSPC, writing), (None, sites), (errno.EIO, files))
    faults = []
    for number in range(many):
        code, places = kinds[number % len(kinds)]
        site = draw.choice(places)
        error = MemoryError() if code is None else OSError(code, os.strerror(code))
        faults.append(Fault(site, draw.randrange(counts[site]), error))
    return faults
