"""Features of a frozen backbone, in worker processes, a file for each part of the images.

A part is named by the digest of everything that its features depend on, so that a run that was stopped goes on where it
was. A row is known by such a digest too: of a part in which images were added or changed, these alone are computed, in
a batch with others of their kind. So the features of an image must not depend on what is beside it (``extract``).
Parts go to the workers as these become free; each worker has a backbone of its own, on a CUDA device of its own where
there are any, so that several devices share the parts. A job names the files and rows of its pixels.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from winnow.backbone.card import Card
from winnow.backbone.extract import extract
from winnow.backbone.loading import load_backbone
from winnow.dataset.arrays import ArrayStore, Places, open_rows, write_index
from winnow.engine.jobs import Tick, run_jobs
from winnow.model.known_rows import NONE, Known, Place, known_rows, write_known
from winnow.model.squares import batches
from winnow.pipeline.checksums import DamagedError, verify
from winnow.pipeline.durable import sweep
from winnow.pipeline.files import digest, write_array
from winnow.pipeline.made_by import made_by
from winnow.pipeline.messages import UserError
from winnow.training.network import pick_device

PART = 128  # images in a part, about
BATCH = 32  # images at once

Rows = npt.NDArray[np.float16]
Squares = tuple[Path, Places, Places]  # a file of pixels, places among the images wanted, and their rows in the file


@dataclass(frozen=True)
class Extraction:
    """How features are computed."""

    card: Card
    user_folder: Path  # models/user

    def fingerprint(self) -> str:
        """Digest of the model, its weights, the code that computes features, and PyTorch's version."""
        card = {**asdict(self.card), "requested": "", "why": ""}  # words that count the source's images
        settings = sorted(card.items()), digest([self.user_folder]), torch.__version__
        code = "winnow/backbone", "winnow/model/extraction.py"
        return made_by(*settings, code=code, libraries=("numpy", "torch"))


Job = tuple[Extraction, list[Squares], Path | None]


def parts_of(ids: Sequence[str]) -> list[list[str]]:
    """The ids in parts of about ``PART``, by the ids alone, so that a new image changes one of them."""
    count = 2 ** max(0, math.ceil(math.log2(max(1, len(ids)) / PART)))
    parts: dict[int, list[str]] = {}
    for identifier in sorted(ids):
        number = int(hashlib.blake2b(identifier.encode(), digest_size=4).hexdigest(), 16)
        parts.setdefault(number % count, []).append(identifier)
    return [parts[number] for number in sorted(parts)]


@dataclass(frozen=True)
class Extracted:
    """The features of some images, in files of a folder."""

    parts: list[tuple[list[str], str]]  # ids, and the name of their file
    keys: list[list[str]]  # of each part's rows: a digest of all that a row depends on
    computed: int  # rows; the others were there


def extract_features(
    extraction: Extraction, stores: Sequence[Path], ids: Sequence[str], folder: Path, known: Known = NONE
) -> Extracted:
    """The features of all ids in parts: those that ``folder`` lacks are computed, as far as their rows are not known.

    Args:
        extraction: how.
        stores: folders of pixels; the first that has an id gives its pixels.
        ids: N of them.
        folder: where (n, D) float16 features are written.
        known: by key, the file of ``folder`` and the row in it that an earlier run computed.

    Raises:
        UserError: the user's code was changed meanwhile.
    """
    opened = [ArrayStore(store) for store in stores]
    same, parts = extraction.fingerprint(), parts_of(ids)
    keys = [[_key(same, _row(opened, one)) for one in part] for part in parts]
    names = [f"{_name(part, rows)}.npy" for part, rows in zip(parts, keys, strict=True)]
    lacking = [number for number, name in enumerate(names) if not (folder / name).exists()]
    new = [number for number in lacking if known.keys().isdisjoint(keys[number])]
    mixed = [number for number in lacking if not known.keys().isdisjoint(keys[number])]
    single = [(number, row) for number in mixed for row, key in enumerate(keys[number]) if key not in known]
    chunks = [single[start : start + PART] for start in range(0, len(single), PART)]
    jobs: list[Job] = [(extraction, _places(opened, parts[number]), folder / names[number]) for number in new]
    jobs += [(extraction, _places(opened, [parts[number][row] for number, row in chunk]), None) for chunk in chunks]
    found = _run(extraction, same, jobs)[len(new) :]
    sweep(folder)  # of a job that was killed, and ran again
    rows = dict(zip(single, (row for chunk in found if chunk is not None for row in chunk), strict=True))
    for number in mixed:
        _assemble(folder, names[number], [known.get(key) for key in keys[number]], number, rows)
    computed = sum(len(parts[number]) for number in new) + len(single)
    return Extracted(list(zip(parts, names, strict=True)), keys, computed)


def _run(extraction: Extraction, same: str, jobs: Sequence[Job]) -> list[Rows | None]:
    """The jobs' results, if the user's code stayed the same."""
    if not jobs:
        return []
    steps = sum(math.ceil(_count(places) / BATCH) for _, places, _ in jobs)
    found = run_jobs(extract_part, jobs, steps=steps, label=f"features: {BATCH} images")
    if extraction.fingerprint() != same:
        for *_, file in jobs:
            if file is not None:
                file.unlink(missing_ok=True)
        raise UserError(f"{extraction.user_folder} was changed while features were computed; run it again")
    return found


def _assemble(
    folder: Path, name: str, known: Sequence[Place | None], number: int, rows: Mapping[tuple[int, int], Rows]
) -> None:
    """Write a part of rows that are known and rows that were computed, the latter by part and position."""
    arrays = {name: open_rows(folder / name) for name in {place[0] for place in known if place is not None}}
    written = [
        rows[number, position] if place is None else arrays[place[0]][place[1]] for position, place in enumerate(known)
    ]
    write_array(folder / name, np.stack(written))


def write_features(extraction: Extraction, stores: Sequence[Path], ids: Sequence[str], folder: Path) -> int:
    """Write the features of all ids with their index, drop what is no longer wanted, and return how many were computed.

    Args as for ``extract_features``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_remains(folder)
    there = {file.name for file in folder.glob("*.npy")}
    found = extract_features(extraction, stores, ids, folder, known_rows(folder, there))
    places = [(one, name, row) for part, name in found.parts for row, one in enumerate(part)]
    write_index(folder, places)
    write_known(folder, places, [key for keys in found.keys for key in keys])
    for name in there - {name for _, name in found.parts}:  # last: until now, the old tables name them
        (folder / name).unlink()
    return found.computed


def _remove_remains(folder: Path) -> None:
    """Remove what a killed run left, and parts that are damaged, so that these are computed again."""
    sweep(folder)
    for file in folder.glob("*.npy"):
        try:
            verify(file)
        except DamagedError:
            file.unlink()


def extract_part(extraction: Extraction, places: Sequence[Squares], file: Path | None, tick: Tick) -> Rows | None:
    """The features of some images, in a worker process: written to a file, or returned where there is none.

    Half precision is what is stored: the features' last bits say nothing about an image, and are half the disk.

    Args:
        extraction: how.
        places: of their pixels.
        file: for their (n, D) rows.
        tick: called once a batch.
    """
    device = pick_device()
    backbone = load_backbone(extraction.card, user_folder=extraction.user_folder)
    found: list[npt.NDArray[np.float32]] = []
    for part in extract(backbone, batches(_squares(places), BATCH), extraction.card, device):
        found.append(part)
        tick()
    rows = np.concatenate(found).astype(np.float16)
    if file is None:
        return rows
    write_array(file, rows)
    return None


def _places(stores: Sequence[ArrayStore], ids: Sequence[str]) -> list[Squares]:
    """Where the pixels of the ids lie: a worker opens these files, and no index of all images."""
    places = []
    for store in stores:
        mine = [position for position, one in enumerate(ids) if _first_with(stores, one) is store]
        for name, positions, rows in store.by_file([ids[position] for position in mine]):
            places.append((store.folder / name, np.array(mine)[positions], rows))
    return places


def _count(places: Sequence[Squares]) -> int:
    return sum(len(positions) for _, positions, _ in places)


def _squares(places: Sequence[Squares]) -> list[npt.NDArray[np.uint8]]:
    """The (S, S, C) pixels at some places, in their order, as views of the files."""
    squares = [np.zeros(0, np.uint8)] * _count(places)
    for file, positions, rows in places:
        array = open_rows(file)
        for position, row in zip(positions.tolist(), rows.tolist(), strict=True):
            squares[position] = array[row]
    return squares


def _first_with(stores: Sequence[ArrayStore], identifier: str) -> ArrayStore:
    return next(store for store in stores if identifier in store)


def _row(stores: Sequence[ArrayStore], identifier: str) -> npt.NDArray[np.uint8]:
    return _first_with(stores, identifier).row(identifier)


def _key(same: str, row: npt.NDArray[np.uint8]) -> str:
    """Digest of the extraction's fingerprint and of an image's pixels: all that its features depend on."""
    total = hashlib.blake2b(f"{same} {row.shape}".encode(), digest_size=16)
    total.update(np.ascontiguousarray(row).data)
    return total.hexdigest()


def _name(ids: Sequence[str], keys: Sequence[str]) -> str:
    return hashlib.sha256(" ".join((*ids, *keys)).encode()).hexdigest()[:32]
