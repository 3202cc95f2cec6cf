"""A whole run of the pipeline on one source, with what trains: what each stage took, and what came of it."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from bench.scale.clone import make_copy, scaled
from bench.scale.watch import Total, processes_of
from winnow.pipeline.files import write_json
from winnow.pipeline.json_files import read_json

EVERY = 0.5  # seconds between two looks
DONE = "build/scale-whole.json"  # in the copy: by stage what it took
RESULTS = "build/scale-results.json"  # and what came of a run that has ended


def run_whole(source: Path, *, place: Path) -> dict[str, Any]:
    """By stage, seconds and bytes of `winnow run` with the params as they are delivered, but for the bounds on images.

    A run that was stopped continues; what a stage took is that of its last start.

    Args:
        source: a zip.
        place: folder of the copies.

    Raises:
        SystemExit: the run failed.
    """
    folder = place / f"{source.stem}-whole"
    if not folder.exists():
        make_copy(folder, source, "competition")
    file = folder / DONE
    done: dict[str, Any] = read_json(file) if file.exists() else {}
    with (folder / "build/whole.log").open("ab") as log:
        run = subprocess.Popen(
            [sys.executable, "-m", "winnow", "run", "--source", str(scaled(source)["dataset.source"])],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            stdout=log,
            stderr=log,
        )
        ends = threading.Event()
        watcher = threading.Thread(target=_watch, args=(run.pid, ends, done, file))
        watcher.start()
        try:
            code = run.wait()
        finally:
            run.terminate()
            ends.set()
            watcher.join()
    if code:
        raise SystemExit(
            f"scale: the run failed in {folder}; see build/whole.log there, and run the same command again"
        )
    write_json(folder / RESULTS, results_of(folder))
    return done


def _watch(pid: int, ends: threading.Event, done: dict[str, Any], file: Path) -> None:
    """Keep by stage what the processes below ``pid`` took, at every look."""
    totals: dict[str, Total] = {}
    started: dict[str, float] = {}
    while not ends.wait(EVERY):
        by_stage: dict[str, list[psutil.Process]] = {}
        for process in processes_of(pid):
            try:
                stage = process.environ().get("DVC_STAGE")
            except psutil.Error:  # it has just ended
                continue
            if stage:
                by_stage.setdefault(stage, []).append(process)
        for stage, processes in by_stage.items():
            total = totals.setdefault(stage, Total())
            total.look(processes)
            seconds = time.perf_counter() - started.setdefault(stage, time.perf_counter())
            done[stage] = {
                "seconds": seconds,
                "cpu_seconds": total.cpu_seconds,
                "peak": total.peak,
                "mapped": total.mapped,
            }
        if by_stage:
            write_json(file, done)


def results_of(folder: Path) -> dict[str, Any]:
    """What came of a run that has ended: F1 of the verdicts, accuracies, and the error reduction.

    Args:
        folder: of the copy.
    """
    verdicts, arms = read_json(folder / "metrics/refinement.json"), read_json(folder / "metrics/comparison.json")
    found: dict[str, Any] = {key: verdicts[key] for key in ("faults", "dropped", "relabelled", "f1") if key in verdicts}
    found["accuracy"] = {arm: row["accuracy"] for arm, row in arms.items()}
    found["error_reduction"] = {arm: row["error_reduction"] for arm, row in arms.items() if "error_reduction" in row}
    return found
