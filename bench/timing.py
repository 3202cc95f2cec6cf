"""Times that can be compared on a busy machine: cases are run in turn, and ratios taken within a turn."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

Times = dict[str, list[float]]


@dataclass(frozen=True)
class Figure:
    """One line of the result: a median over the rounds, with the least and the greatest."""

    name: str
    median: float
    low: float
    high: float
    unit: str
    at_least: float | None = None  # the target, where there is one
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the median meets the target; None without one."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most

    def line(self) -> str:
        """The figure as a line of text."""
        spread = f"({self.low:.3g} to {self.high:.3g})" if self.low != self.high else ""
        wanted = f">= {self.at_least}" if self.at_least is not None else f"<= {self.at_most}"
        verdict = "" if self.met is None else f"target {wanted}: {'met' if self.met else 'MISSED'}"
        return f"  {self.name:<62} {self.median:>8.4g} {self.unit:<9} {spread:<20} {verdict}".rstrip()


def figure(name: str, values: Sequence[float], unit: str, **target: float) -> Figure:
    """Median, least and greatest of some values."""
    return Figure(name, statistics.median(values), min(values), max(values), unit, **target)


def interleaved(cases: Mapping[str, Callable[[], object]], *, rounds: int) -> Times:
    """Wall-clock seconds of every case in every round: A B A B ..., so that a busy minute falls on all alike.

    A round before them is not counted: it fills caches and starts worker processes.
    """
    times: Times = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            start = time.perf_counter()
            case()
            if number:
                times[name].append(time.perf_counter() - start)
    return times


def ratios(times: Times, over: str, under: str) -> list[float]:
    """Seconds of one case over those of another in the same round."""
    return [a / b for a, b in zip(times[over], times[under], strict=True)]


def rates(times: Times, case: str, count: int) -> list[float]:
    """Images a second of a case that handles ``count`` images."""
    return [count / seconds for seconds in times[case]]


def machine() -> dict[str, str]:
    """The machine and the versions that a figure depends on."""
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": cpus[0].split(":")[1].strip() if cpus else platform.processor(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}",  # above 0.5 before the start, something else is running
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
