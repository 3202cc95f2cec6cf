"""Run the steps of one source and keep what each took; a run that was stopped continues."""

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.scale.clone import make_copy, python_path, remove, steps_of
from bench.scale.watch import CommandError, watched
from winnow.pipeline.files import ROOT, write_json
from winnow.pipeline.json_files import read_json

PLACE = ROOT / "build/scale"
FIGURES = ("seconds", "cpu_seconds", "peak", "mapped")
DONE = "build/scale-done.json"  # in the copy: by step what it took


def measure(source: Path, *, kind: str, place: Path, only: Collection[str]) -> dict[str, Any]:
    """By measured step, seconds and bytes.

    A step that has run is not run again, unless it is named in ``only``; then it alone is.

    Args:
        source: a zip.
        kind: of the model.
        place: folder of the copies.
        only: steps; all where it is empty.
    """
    folder = place / f"{source.stem}-{kind}"
    if not folder.exists():
        make_copy(folder, source, kind)
    file = folder / DONE
    done: dict[str, Any] = read_json(file) if file.exists() else {}
    steps = steps_of(folder)
    if unknown := set(only) - {step.name for step in steps}:
        raise SystemExit(f"no such steps: {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in steps)}")
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    environment["PATH"] = os.pathsep.join([python_path(), os.environ.get("PATH", "")])
    for step in steps:
        if step.name not in only if only else step.name in done:
            continue
        remove(step.outputs)
        try:
            cost = watched(
                ["bash", "-c", step.command], folder=folder, environment=environment, log=folder / "build/scale.log"
            )
        except CommandError as error:
            raise SystemExit(f"{source.stem}, {kind}: {step.name} failed in {folder}: {error}") from None
        done[step.name] = asdict(cost) | {"given": step.given}
        write_json(file, done)
        print(line(source.stem, step.name, done[step.name]), flush=True)
    return measured(folder)


def measured(folder: Path) -> dict[str, Any]:
    """By step what was measured in a copy; what was given is left out."""
    file = folder / DONE
    done = read_json(file) if file.exists() else {}
    return {name: {key: took[key] for key in FIGURES} for name, took in done.items() if not took["given"]}


def line(source: str, step: str, took: Mapping[str, float]) -> str:
    """What a step took, as a line of text."""
    return (
        f"{source:8} {step:24} {took['seconds']:9.1f} s {took['cpu_seconds']:9.1f} s CPU "
        f"{took['peak'] / 2**20:8.0f} MiB {took['mapped'] / 2**20:8.0f} MiB of files"
    )
