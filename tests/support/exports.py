"""The export stage on datasets of a test, and what Hugging Face's loader sees of it."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from stages.export import Params, main
from winnow.backbone.card import COMPETITION, Card
from winnow.pipeline.files import write_json

Copies = Literal["auto", "files", "none"]
HUGGING_FACE = """
import json, sys
from datasets import load_dataset

def seen(split):
    names = split.features["label"].names
    images = [[names[row["label"]], row["image"].mode, row["image"].tobytes().hex()] for row in split]
    return {"columns": split.column_names, "names": names, "images": images}

folder, cache = sys.argv[1:]
loaded = [load_dataset("imagefolder", data_dir=folder, cache_dir=cache), load_dataset(folder, cache_dir=cache)]
print(json.dumps([{name: seen(split) for name, split in one.items()} for one in loaded]))
"""
PHOTOGRAPHS = "timm:tf_efficientnet_lite0"
METRICS: Mapping[str, Mapping[str, Any]] = {
    "counts": {"label_book_verified": True},
    "gate": {"accepted": True, "gain": {"mean": 0.02, "low": -0.01, "high": 0.05}},
    "estimate": {"estimated_faults": 0.1, "expected_left": 0.0073, "touched": 0.11, "stopped": False},
}


def exported(
    dataset: Path,
    prepared: Path,
    folder: Path,
    *,
    model: str = COMPETITION,
    copies: Copies = "auto",
    scores: Sequence[Path] = (),
    strip_metadata: bool = False,
    title: str = "Refined images",
    licence: str = "unknown",
    metrics: Mapping[str, Mapping[str, Any]] | None = None,
    checked: str = "",
) -> Path:
    """Run the stage; the folder that it wrote.

    Of the metrics that it reads, those of METRICS are replaced that ``metrics`` has. ``checked`` is the rows of
    checked.csv.
    """
    said = folder.with_name(f"{folder.name}-checked.csv")
    said.write_text(f"sample,action,label,by,note\n{checked}")
    half = (0.5, 0.5, 0.5)
    card = Card(model, "auto", "none", 64, "letterbox", True, half, half, "bilinear", True, "a test")
    path = folder.with_name(f"{folder.name}-model.json")
    write_json(path, card.to_json())
    files = {name: folder.with_name(f"{folder.name}-{name}.json") for name in METRICS}
    for name, file in files.items():
        write_json(file, (metrics or {}).get(name, METRICS[name]))
    main(
        Params(copies, strip_metadata, title, licence),
        dataset=dataset,
        prepared=prepared,
        scores=list(scores),
        model=path,
        export=folder,
        checked=said,
        **files,
    )
    return folder


def hugging_face(folder: Path, tmp_path: Path) -> list[dict[str, Any]]:
    """What its loader sees: as `imagefolder`, and left to find out by itself that it is one."""
    if importlib.util.find_spec("huggingface_hub") is None:
        pytest.skip("Hugging Face's datasets is not installed (requirements-dev.txt)")
    # Another process: tests/datasets hides the package here.
    command = [sys.executable, "-I", "-c", HUGGING_FACE, str(folder), str(tmp_path / "cache")]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen: list[dict[str, Any]] = json.loads(done.stdout)
    return seen
