"""metrics/scale.json and docs/pictures/scale.png, from the copies in which sources were measured."""

import datetime
from pathlib import Path
from typing import Any

from bench.results_scale import costs
from bench.scale.clone import CHANGED, COMMIT, KINDS
from bench.scale.fit import exponent, extrapolated
from bench.scale.measure import measured
from bench.scale.picture import Panel, draw_scale
from bench.scale.targets import BOUNDED, LARGE, MOST_BYTES, MOST_MEMORY, MOST_TIME
from bench.scale.whole import DONE as WHOLE
from bench.scale.whole import RESULTS
from bench.timing import machine
from winnow.pipeline.files import ROOT, write_bytes, write_json
from winnow.pipeline.json_files import read_json

METRICS, PICTURE = ROOT / "metrics/scale.json", ROOT / "docs/pictures/scale.png"
SERIES = {"fm2k": 2_000, "fm8k": 8_000, "fm20k": 20_000, "fm70k": 70_000}  # sources of one kind, of growing size


def gathered(place: Path) -> dict[str, dict[str, Any]]:
    """What the copies in a folder took, as ``bench.results_scale`` says metrics/scale.json, but for date and machine.

    Args:
        place: folder of the copies.

    Raises:
        SystemExit: copies of one series are of several commits, or a copy is of code that was not committed.
    """
    found: dict[str, dict[str, Any]] = {"series": {}, "others": {}, "whole": {}}
    for folder in sorted(place.iterdir()):
        name, _, kind = folder.name.rpartition("-")
        if kind in KINDS and folder.is_dir() and (steps := measured(folder)):
            if name in SERIES:
                series = found["series"].setdefault(kind, {"commit": _commit(folder), "sizes": {}})
                if series["commit"] != _commit(folder):
                    raise SystemExit(
                        f"scale: {folder} is of {_commit(folder)}, copies of other sizes in {place} are of "
                        f"{series['commit']}; remove one or the other, measure anew"
                    )
                series["sizes"][str(SERIES[name])] = steps
            else:
                found["others"][f"{name}, {kind}"] = {"commit": _commit(folder), "steps": steps}
        elif kind == "whole" and (folder / RESULTS).exists():
            ended = {"steps": read_json(folder / WHOLE), "results": read_json(folder / RESULTS)}
            found["whole"][name] = {"commit": _commit(folder), **ended}
    return found


def _commit(folder: Path) -> str:
    """What a copy is a copy of."""
    commit = (folder / COMMIT).read_text()
    if commit == CHANGED:
        raise SystemExit(f"scale: {folder} is of code that was not committed; remove it, measure anew")
    return commit


def offenders(by_size: dict[str, Any], *, every: bool = False) -> list[str]:
    """A line for every step that misses a target, the largest extrapolated memory first.

    Args:
        by_size: steps by size.
        every: also those that meet them.
    """
    lines = []
    for step in dict.fromkeys(step for steps in by_size.values() for step in steps):
        cpu, peak = (costs(by_size, step, figure) for figure in ("cpu_seconds", "peak"))
        if len(cpu) < 2:
            continue
        time_grows, memory_grows, large = exponent(cpu), exponent(peak), extrapolated(peak, LARGE)
        missed = [
            *(["TIME"] if time_grows > MOST_TIME else []),
            *(["MEMORY"] if memory_grows > MOST_MEMORY else []),
            *(["4 GB"] if large > MOST_BYTES else []),
        ]
        if missed or every:
            lines.append(
                (
                    large,
                    f"{step:22} time {time_grows:5.2f}  memory {memory_grows:5.2f}  at {LARGE:,}: "
                    f"{extrapolated(cpu, LARGE):8,.0f} s CPU {large / 2**20:8,.0f} MiB  {', '.join(missed)}"
                    f"{'' if step in BOUNDED else ' (no target)'}",
                )
            )
    return [line for _, line in sorted(lines, key=lambda one: -one[0])]


def record(place: Path, metrics: Path = METRICS, picture: Path = PICTURE) -> None:
    """Write both files; what the JSON has of sources that have no copy here stays.

    Args:
        place: folder of the copies.
        metrics: the JSON.
        picture: the PNG.

    Raises:
        SystemExit: as of ``gathered``.
    """
    here = machine()
    words = f"{here['cpu']}, {here['cores']} cores, Python {here['python']}, PyTorch {here['torch']}"
    basis = {"date": datetime.date.today().isoformat(), "machine": words}
    figures: dict[str, Any] = read_json(metrics) if metrics.exists() else {}
    for group, measurements in gathered(place).items():
        figures[group] = figures.get(group, {}) | {name: basis | one for name, one in measurements.items()}
    write_json(metrics, figures)
    write_bytes(picture, picture_of(figures["series"].get(KINDS[0], {}).get("sizes", {})))
    print(f"scale: written to {metrics} and {picture}; `make results` writes the page")


def picture_of(by_size: dict[str, Any]) -> bytes:
    """The picture of the steps that have a target."""
    found = [step for step in BOUNDED if len(costs(by_size, step, "peak")) > 1]
    seconds = {step: costs(by_size, step, "cpu_seconds") for step in found}
    memory = {step: {size: peak / 2**20 for size, peak in costs(by_size, step, "peak").items()} for step in found}
    return draw_scale(
        [
            Panel("CPU seconds, by images", seconds),
            Panel("MiB, by images", memory, ((MOST_BYTES / 2**20, "4 GB"),)),
        ]
    )
