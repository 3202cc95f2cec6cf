"""Both augmenting stages on small datasets: line art of the competition, and photographs under a backbone of means."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

from stages import augment, augment_edge_cases
from tests.support.backbones import card_of, write_module
from tests.support.datasets import make_dataset
from tests.support.inputs import competition_inputs
from tests.support.stages import jobs_here
from winnow.dataset.arrays import write_rows
from winnow.dataset.images import encode_jpeg, write_dataset
from winnow.dataset.samples import only_source, only_splits, read_samples, sample_id, samples_table
from winnow.model import extraction
from winnow.model.squares import squares
from winnow.pipeline.files import write_json, write_table
from winnow.transforms.views import Ranges

MEANS = """
    import torch

    class Means(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(3, 2)

        def features(self, x):
            return x.mean(dim=(2, 3))
"""
CARD = replace(card_of("python:photograph_means:Means", "default", 16), frozen=True)
RANGES = Ranges(rotate_degrees=10.0, shift=0.08, zoom=0.1, shear=0.1)
AUGMENT = augment.Params(seed=3, budget=1, multiple=1.5, max_copies=20, chained=1, inverted_share=0.4, affine=RANGES)
EDGES = augment_edge_cases.Params(seed=0, multiple=2.0, copies=12, inverted_share=0.3, affine=RANGES)
POLICY = {
    "sub_policies": [[{"operation": "rotate", "probability": 1.0, "magnitude": 0.8}]],
    "operations": ["rotate", "invert"],
    "limits": {},
    "cut": [],
}
ARMS = ("by_random", "by_policy", "by_policy_inverted", "by_affine")
COUNTS = {"a": 20, "b": 8, "c": 3}
SPLITS = {"train": 10, "val": 6, "label_book": 3}  # train: 4, 3 and 3 of three classes

Inputs = dict[str, Path]  # options of both stages beside what they write


def photographs(folder: Path, policy: dict[str, Any] = POLICY) -> Inputs:
    """What both stages read beside the dataset, and a dataset of coloured photographs."""
    rows: list[dict[str, object]] = []
    images = []
    for label, count in COUNTS.items():
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
            name, content = f"train/{label}/{number}.jpg", encode_jpeg(pixels)
            one = sample_id(name, content)
            row = {"id": one, "name": name, "split": "train", "label": label, "given_label": label, "origin": "source"}
            rows.append(row | {"pixel_hash": one, "channels": 3, "width": 32, "height": 24, "group": one})
            images.append((one, content))
    write_dataset(folder / "set", samples_table(rows, list(COUNTS)), images=images)
    write_json(folder / "model.json", CARD.to_json())
    (folder / "policy.json").write_text(json.dumps(policy))
    for name in ("user", "pixels"):
        (folder / name).mkdir()
    sys.modules.pop("photograph_means", None)  # of the test before
    write_module(folder / "user", "photograph_means", MEANS)
    write_rows(folder / "pixels", squares(folder / "set", [one for one, _ in images], CARD))
    files = {"dataset": "set", "model": "model.json", "policy": "policy.json", "user": "user", "pixels": "pixels"}
    return {option: folder / name for option, name in files.items()}


def line_art(folder: Path, policy: dict[str, Any] = POLICY) -> Inputs:
    """The same of grey line art, which is judged by the competition's model."""
    (folder / "policy.json").write_text(json.dumps(policy))
    files = {"dataset": make_dataset(folder / "set", SPLITS), "policy": folder / "policy.json"}
    return files | competition_inputs(folder, "model", "pixels", "user")


def by_augment(inputs: Inputs, folder: Path, params: augment.Params = AUGMENT) -> dict[str, Path]:
    """The datasets of stage ``augment``, by option."""
    arms = {arm: folder / arm for arm in ARMS}
    with mock.patch.object(extraction, "run_jobs", jobs_here):
        augment.main(params, 10000, **inputs, **arms)
    return arms


def by_edge_cases(inputs: Inputs, folder: Path, max_copies: int, max_images: int = 10000) -> Path:
    """The dataset of stage ``augment_edge_cases``, where three in ten images are edge cases."""
    source = only_source(only_splits(read_samples(inputs["dataset"]), "train"))
    distance = np.linspace(0, 1, len(source))
    edges = pa.table([source["id"], distance, distance > 0.7], schema=augment_edge_cases.EDGE_SCHEMA)
    write_table(folder / "edges.parquet", edges)
    with mock.patch.object(extraction, "run_jobs", jobs_here):
        augment_edge_cases.main(
            EDGES, max_images, max_copies, **inputs, edge_cases=folder / "edges.parquet", augmented=folder / "edges"
        )
    return folder / "edges"


def copies_in(folder: Path) -> list[dict[str, Any]]:
    """The rows of a dataset's copies."""
    return [row for row in read_samples(folder).to_pylist() if row["parent"] is not None]
