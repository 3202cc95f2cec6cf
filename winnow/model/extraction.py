"""Features of a frozen backbone, in worker processes, a file for each part of the images.

A part is named by the digest of everything that its features depend on, so that a run that was stopped goes on where it
was, and a changed image costs its own part alone. Parts go to the workers as these become free; each worker has a
backbone of its own, on a CUDA device of its own where there are any, so that several devices share the parts.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from winnow.backbone.card import Card
from winnow.backbone.extract import extract
from winnow.backbone.loading import load_backbone
from winnow.dataset.arrays import ArrayStore, write_index
from winnow.model.squares import batches
from winnow.pipeline.checksums import DamagedError, verify
from winnow.pipeline.durable import sweep
from winnow.pipeline.files import digest, write_array
from winnow.pipeline.messages import UserError
from winnow.pipeline.workers import Tick, run_jobs
from winnow.training.network import pick_device

PART = 128  # images in a part, about
BATCH = 32  # images at once


@dataclass(frozen=True)
class Extraction:
    """How features are computed."""

    card: Card
    user_folder: Path  # models/user

    def fingerprint(self) -> str:
        """Digest of the model, its weights and PyTorch's version."""
        same = f"{sorted(asdict(self.card).items())} {digest([self.user_folder])} {torch.__version__}"
        return hashlib.sha256(same.encode()).hexdigest()


def parts_of(ids: Sequence[str]) -> list[list[str]]:
    """The ids in parts of about ``PART``, by the ids alone, so that a new image changes one of them."""
    count = 2 ** max(0, math.ceil(math.log2(max(1, len(ids)) / PART)))
    parts: dict[int, list[str]] = {}
    for identifier in sorted(ids):
        number = int(hashlib.blake2b(identifier.encode(), digest_size=4).hexdigest(), 16)
        parts.setdefault(number % count, []).append(identifier)
    return [parts[number] for number in sorted(parts)]


def extract_features(
    extraction: Extraction, stores: Sequence[Path], ids: Sequence[str], folder: Path
) -> Iterator[tuple[list[str], str]]:
    """The parts, computed where ``folder`` does not have them yet: their ids, and the name of their file.

    Args:
        extraction: how.
        stores: folders of pixels; the first that has an id gives its pixels.
        ids: N of them.
        folder: where (n, D) float16 features are written.
    """
    opened = [ArrayStore(store) for store in stores]
    same, parts = extraction.fingerprint(), parts_of(ids)
    names = [f"{_name(same, part, opened)}.npy" for part in parts]
    jobs = [
        (extraction, list(stores), part, folder / name)
        for part, name in zip(parts, names, strict=True)
        if not (folder / name).exists()
    ]
    steps = sum(math.ceil(len(job[2]) / BATCH) for job in jobs)
    if jobs:
        run_jobs(extract_part, jobs, steps=steps, label=f"features: {BATCH} images")
        if extraction.fingerprint() != same:
            for *_, file in jobs:
                file.unlink(missing_ok=True)
            raise UserError(f"{extraction.user_folder} was changed while features were computed; run it again")
    yield from zip(parts, names, strict=True)


def write_features(extraction: Extraction, stores: Sequence[Path], ids: Sequence[str], folder: Path) -> int:
    """Write the features of all ids with their index, drop what is no longer wanted, and return how many were computed.

    Args as for ``extract_features``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_remains(folder)
    there = {file.name for file in folder.glob("*.npy")}
    parts = list(extract_features(extraction, stores, ids, folder))
    for name in there - {name for _, name in parts}:
        (folder / name).unlink()
    write_index(folder, [(one, name, position) for part, name in parts for position, one in enumerate(part)])
    return sum(len(part) for part, name in parts if name not in there)


def _remove_remains(folder: Path) -> None:
    """Remove what a killed run left, and parts that are damaged, so that these are computed again."""
    sweep(folder)
    for file in folder.glob("*.npy"):
        try:
            verify(file)
        except DamagedError:
            file.unlink()


def extract_part(extraction: Extraction, stores: Sequence[Path], ids: Sequence[str], file: Path, tick: Tick) -> None:
    """Write the features of some images, in a worker process.

    Half precision is what is stored: the features' last bits say nothing about an image, and are half the disk.
    """
    device = pick_device()
    backbone = load_backbone(extraction.card, user_folder=extraction.user_folder)
    opened = [ArrayStore(store) for store in stores]
    found: list[npt.NDArray[np.float32]] = []
    for part in extract(backbone, batches((_row(opened, one) for one in ids), BATCH), extraction.card, device):
        found.append(part)
        tick()
    write_array(file, np.concatenate(found).astype(np.float16))


def _row(stores: Sequence[ArrayStore], identifier: str) -> npt.NDArray[np.uint8]:
    return next(store for store in stores if identifier in store).row(identifier)


def _name(same: str, ids: Sequence[str], stores: Sequence[ArrayStore]) -> str:
    total = hashlib.sha256(same.encode())
    for identifier in ids:
        total.update(identifier.encode())
        total.update(np.ascontiguousarray(_row(stores, identifier)).data)
    return total.hexdigest()[:32]
