"""Peak memory of valuing 2,000 and 20,000 images: the same, apart from the images themselves.

The stage itself runs, cut to one epoch of two trajectories, in a process of its own for each number.
"""

import contextlib
import dataclasses
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil

from bench.timing import Figure, figure
from stages import value
from winnow.backbone.card import COMPETITION
from winnow.backbone.choice import Request, resolve
from winnow.dataset.images import encode_png, write_dataset
from winnow.dataset.samples import read_samples, sample_id, samples_table
from winnow.pipeline.files import write_json
from winnow.pipeline.params import load_params
from winnow.representation.predictions import write_planted, write_probabilities
from winnow.representation.support import Support
from winnow.training.head import HeadProfile

COUNTS = (2000, 20000)
CLASSES = 10
LABEL_BOOK = 52
SIDE = 64
KIB = 1024  # the unit of /proc's figures


def measure(*, images: int, rounds: int) -> list[Figure]:
    """Peaks of the larger of parent and worker in MiB; one run each, whatever ``images`` and ``rounds`` are."""
    peaks = {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as name:
            write_random(Path(name) / "dataset", count)  # not in the process measured
            command = [sys.executable, "-m", "bench.memory", name]
            finished = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[count] = json.loads(finished.stdout.splitlines()[-1])
    few, many = (_without_images(peaks[count], count) for count in COUNTS)
    figures = [
        figure(f"value at N = {count}, {who}, peak", [peaks[count][who] / 2**20], "MiB")
        for count in COUNTS
        for who in ("worker", "parent")
    ]
    title = f"peak at N = {COUNTS[1]} over N = {COUNTS[0]}, images taken off"
    return figures + [
        figure(f"{who}: {title}", [many[who] / few[who]], "x", at_most=1.1) for who in ("worker", "parent")
    ]


def _without_images(peaks: dict[str, int], count: int) -> dict[str, float]:
    return {who: peak - count * SIDE * SIDE for who, peak in peaks.items()}


def run_value(folder: Path) -> dict[str, int]:
    """Peak resident bytes of the stage's process, which is this one, and of its largest worker."""
    params = dataclasses.replace(load_params("value", value.Params), epochs=1, trajectories=2, folds=2)
    outputs = {key: folder / key for key in ("scores", "curve", "influence", "quality")}
    stage = psutil.Process()
    peaks: dict[int, int] = {}
    done = threading.Event()

    def watch() -> None:  # workers end with their pool, and a server between them and the stage forks them
        while not done.wait(0.1):
            for process in [worker for server in stage.children() for worker in server.children()]:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):  # it has just ended
                    peaks[process.pid] = _peak(process.pid)

    watcher = threading.Thread(target=watch)
    watcher.start()
    write_json(folder / "model.json", resolve(Request(COMPETITION, "default", 0, True, "letterbox")).to_json())
    inputs = {name: folder / name for name in ("dataset", "pixels", "features", "user_signals")}  # pixels: of shards
    head, support = load_params("head", HeadProfile), load_params("support", Support)
    judged = {key: folder / f"{key}.parquet" for key in ("classes", "planted")}
    samples, rng = read_samples(folder / "dataset"), np.random.default_rng(0)
    write_probabilities(judged["classes"], samples, rng.dirichlet(np.ones(CLASSES), len(samples)).astype(np.float32))
    write_planted(judged["planted"], np.zeros((0, CLASSES), np.float32), samples, rng)
    value.main(params, head, support, model=folder / "model.json", **inputs, **judged, **outputs)
    done.set()
    watcher.join()
    return {"parent": _peak(stage.pid), "worker": max(peaks.values())}


def _peak(pid: int) -> int:
    """Peak resident bytes of a process since it began its program; getrusage's would count its parent's before that."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * KIB


def write_random(folder: Path, count: int) -> None:
    """A dataset of random coarse images, which are PNGs of a few hundred bytes."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    images = []
    for number in range(count + LABEL_BOOK):
        coarse = rng.integers(0, 256, (8, 8, 1), dtype=np.uint8)
        png = encode_png(coarse.repeat(SIDE // 8, axis=0).repeat(SIDE // 8, axis=1))
        identifier, label = sample_id(f"{number}.png", png), str(number % CLASSES)
        rows.append(
            {
                "id": identifier,
                "name": f"{number}.png",
                "split": "train" if number < count else "label_book",
                "label": label,
                "given_label": label,
                "origin": "source",
                "pixel_hash": identifier,
                "channels": 1,
                "width": SIDE,
                "height": SIDE,
                "group": identifier,
            }
        )
        images.append((identifier, png))
    write_dataset(folder, samples_table(rows, [str(k) for k in range(CLASSES)]), images=images)


if __name__ == "__main__":
    print(json.dumps(run_value(Path(sys.argv[1]))))
