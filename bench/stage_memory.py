"""Peak memory of every stage on few and on many photographs: ``python -m bench.stage_memory SOURCE``.

The photographs are distinct crops of those of a source, as JPEGs of their size. The pipeline runs as a user runs it,
in a clone of this repository, with a backbone that costs next to nothing (mean colours of a grid, D = 1,280) at 224
pixels: what a stage holds is counted, not what a network computes. The weights of a real one add the same to both.
"""

import argparse
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import psutil
from PIL import Image
from ruamel.yaml import YAML

from winnow.intake.source import open_source
from winnow.pipeline.files import ROOT, write_json

COUNTS = (500, 5000)
CLASSES = 10
SHARE = 0.8  # of a photograph's sides that a crop has
EVERY = 0.2  # seconds between two looks
MODULE = """
import torch
from torch import nn


class Grid(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((16, 16))
        self.head = nn.Linear(1280, 2)

    def features(self, x):
        found = self.pool(x).flatten(1)
        return torch.cat([found, found[:, :512]], dim=1)
"""
PARAMS = {
    "model": "python:grid:Grid",
    "pixels": 224,
    "augment": {"multiple": 1.2},
    "augment_edge_cases": {"multiple": 1.3},
}


def write_crops(source: Path, out: Path, count: int) -> None:
    """A zip of so many crops in class folders: photograph n gives class n modulo ``CLASSES``."""
    draw = random.Random(0)
    with open_source(source) as opened, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        keys = [entry.key for entry in opened.layout.entries]
        for number in range(count):
            image = Image.open(io.BytesIO(opened.container.read(keys[number % len(keys)]))).convert("RGB")
            width, height = (round(SHARE * side) for side in image.size)
            left, top = (draw.randint(0, side - new) for side, new in zip(image.size, (width, height), strict=True))
            sink = io.BytesIO()
            image.crop((left, top, left + width, top + height)).resize(image.size).save(sink, "JPEG", quality=85)
            packed.writestr(f"class-{number % len(keys) % CLASSES}/{number}.jpg", sink.getvalue())


def clone(folder: Path) -> Path:
    """A clone of this repository's last commit, with the cheap backbone."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    (folder / "models/user/grid.py").write_text(MODULE)
    yaml = YAML()
    params = yaml.load((folder / "params.yaml").read_text())
    for key, value in PARAMS.items():
        if isinstance(value, dict):
            params[key].update(value)
        else:
            params[key] = value
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(params, file)
    return folder


def peaks_of_run(folder: Path, source: Path) -> dict[str, int]:
    """Peak anonymous bytes by stage, of its process and all its workers at one moment.

    Pages of mapped files (the arrays of data/pixels) are not counted: the kernel takes them back when it needs room.
    """
    run = subprocess.Popen(
        [sys.executable, "-m", "winnow", "run", "--source", str(source)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.DEVNULL,
    )
    peaks: dict[str, int] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(EVERY):
            now: dict[str, int] = {}
            for process in psutil.Process(run.pid).children(recursive=True):
                try:
                    stage = process.environ().get("DVC_STAGE")
                    if stage:
                        held = process.memory_info()
                        now[stage] = now.get(stage, 0) + held.rss - held.shared
                except psutil.Error:  # it has just ended
                    continue
            for stage, total in now.items():
                peaks[stage] = max(peaks.get(stage, 0), total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = run.wait()
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"the pipeline failed in {folder}")
    return peaks


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder or zip of photographs")
    parser.add_argument("--counts", type=int, nargs=2, default=COUNTS)
    options = parser.parse_args()
    found: dict[int, dict[str, int]] = {}
    for count in options.counts:
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            write_crops(options.source, place / "crops.zip", count)
            found[count] = peaks_of_run(clone(place / "clone"), place / "crops.zip")
        print(json.dumps({"source": str(options.source), "crops": count, "peaks": found[count]}), flush=True)
    few, many = options.counts
    print(f"| stage | {few} | {many} | growth |\n|---|---|---|---|")
    for stage in found[few]:
        small, large = found[few][stage] / 2**20, found[many].get(stage, 0) / 2**20
        print(f"| {stage} | {small:,.0f} MiB | {large:,.0f} MiB | {large / small:.1f} x |")
    write_json(ROOT / "build/stage_memory.json", {str(count): peaks for count, peaks in found.items()})


if __name__ == "__main__":
    main()
