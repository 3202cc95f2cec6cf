"""The files of one seed of one arm, and the seal that lets a later run reuse them; needs no PyTorch.

    <models>/seed-<s>.safetensors   the chosen weights; metadata: the fingerprint of everything that made them
    <models>/seed-<s>.parquet       id, label, predicted: one row per test image
    <models>/seed-<s>.seal          digest over the fingerprint and the three files; written last
    <metrics>/seed-<s>.json         accuracy, loss, recall a class, best epoch, training curve ...

A seal that fits means that the files are complete, unedited, and what the same inputs would give again.
"""

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from winnow.pipeline.files import Columns, digest, read_table, schema_of, write_bytes, write_json, write_table
from winnow.pipeline.json_files import read_json
from winnow.pipeline.messages import UserError

PREDICTION_COLUMNS: Columns = {
    "id": (pa.string(), "of the test image"),
    "label": (pa.string(), "its class"),
    "predicted": (pa.string(), "the class that the model gives it"),
}
PREDICTIONS = schema_of(PREDICTION_COLUMNS)

FIGURES = {  # key of <metrics>/seed-<s>.json: meaning
    "seed": "seed of weights and order",
    "fingerprint": "digest of everything that the figures depend on: data, profile, code, PyTorch's version, seed",
    "profile": "section of `judge.profiles`",
    "accuracy": "share of the test images classified right",
    "loss": "mean cross-entropy on the test images",
    "recall.<class>": "share of the class's test images classified right",
    "n_train": "training images",
    "n_val": "validation images",
    "n_test": "test images",
    "best_epoch": "epoch chosen, counted from 1: of the best validation accuracy; of several the first, with a cosine "
    "schedule the last",
    "val_accuracy": "validation accuracy at that epoch",
    "curve[].train_loss": "by epoch: mean training loss",
    "curve[].val_accuracy": "by epoch: validation accuracy",
}


@dataclass(frozen=True)
class SeedFiles:
    """The files of one seed of one arm."""

    models: Path  # the arm's folder
    metrics: Path  # the arm's folder
    seed: int

    @property
    def weights(self) -> Path:
        """The chosen weights."""
        return self.models / f"seed-{self.seed}.safetensors"

    @property
    def predictions(self) -> Path:
        """The class predicted for every test image."""
        return self.models / f"seed-{self.seed}.parquet"

    @property
    def seal(self) -> Path:
        """The digest over the other three."""
        return self.models / f"seed-{self.seed}.seal"

    @property
    def figures(self) -> Path:
        """What people and the summary read."""
        return self.metrics / f"seed-{self.seed}.json"

    def _digest(self, fingerprint: str) -> bytes:
        content = digest([self.weights, self.predictions, self.figures])
        return hashlib.sha256(f"{fingerprint} {content}".encode()).hexdigest().encode()

    def holds(self, fingerprint: str) -> bool:
        """Whether the files are there, unedited, and made by what the fingerprint stands for."""
        try:
            return self.seal.read_bytes() == self._digest(fingerprint)
        except FileNotFoundError:
            return False

    def write(self, fingerprint: str, *, weights: bytes, predictions: pa.Table, figures: Mapping[str, Any]) -> None:
        """Write all four, the seal last: a run killed half-way leaves no seal that fits."""
        write_bytes(self.weights, weights)
        write_table(self.predictions, predictions)
        write_json(self.figures, figures)
        write_bytes(self.seal, self._digest(fingerprint))

    def read_figures(self) -> dict[str, Any]:
        """The seed's figures.

        Raises:
            UserError: the file is missing or no JSON.
        """
        return read_json(self.figures)

    def read_predictions(self) -> pa.Table:
        """The seed's predictions, sorted by id.

        Raises:
            UserError: the table is missing or no such table.
        """
        return read_table(self.predictions, PREDICTIONS).sort_by("id")


def check_seeds(seeds: Sequence[int]) -> None:
    """Reject an empty list of seeds, and one that names a seed twice.

    Raises:
        UserError: none is named, or one twice.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"params.yaml: compare.seeds must name at least one seed, and each once, got {seeds}")


def remove_others(models: Path, metrics: Path, arms: Sequence[str], seeds: Iterable[int]) -> None:
    """Delete what belongs to no judged arm and seed, and what a killed run left half-written.

    Args:
        models: folder with a folder for each arm.
        metrics: the same.
        arms: that are judged.
        seeds: of each.
    """
    files = [SeedFiles(models / arm, metrics / arm, seed) for arm in arms for seed in seeds]
    wanted = {path for one in files for path in (one.weights, one.predictions, one.seal, one.figures)}
    for folder in (models, metrics):
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in arms:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                continue
            for file in path.iterdir():
                if file not in wanted and file.is_file():
                    file.unlink()
