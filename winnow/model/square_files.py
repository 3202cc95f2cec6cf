"""The squares of a dataset's source images in files: a row group of its shards is a job, in a worker process.

What an earlier run made is used again. A file whose rows are wanted as they are stays; else they are copied from it and
the others are decoded. So each byte is that of a fresh run.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from winnow.backbone.card import Card
from winnow.dataset.arrays import ARRAY_BYTES, ArrayStore, Places, open_rows, write_index, write_part
from winnow.dataset.images import decode_stored
from winnow.dataset.streaming import ids_by_group, images_in_shard, incomplete, lacking
from winnow.engine.jobs import Tick, run_jobs
from winnow.model.squares import Pixels, as_square
from winnow.pictures.decode import quiet
from winnow.pipeline.checksums import DamagedError
from winnow.pipeline.durable import sweep
from winnow.pipeline.files import fresh_folder, write_json
from winnow.pipeline.json_files import read_json
from winnow.pipeline.made_by import made_by
from winnow.pipeline.messages import UserError

HERE = 2**24  # bytes of images to decode; for fewer, workers take longer to start than they save
MADE = {  # key of data/pixels_made.json: meaning
    "by": "digest of the code, the libraries and the model's size and resize that made data/pixels",
    "index": "digest of its index.parquet",
}

Part = tuple[list[str], str]  # ids, and the name of their file
Squares = tuple[Path, Places, Places]  # a file, places among the ids of a job, and their rows in the file


@dataclass(frozen=True)
class Group:
    """A row group of a shard."""

    dataset: Path
    shard: Path
    number: int
    ids: list[str]  # that are wanted of it
    share: float  # of the shard's images


Job = tuple[Group, list[Squares], Card, Path]


def known_squares(card: Card, folder: Path, made: Path) -> ArrayStore:
    """What an earlier run left in the folder of squares, whole and made as now; else the folder is made anew.

    Args:
        card: of the model.
        folder: of the squares.
        made: what that run wrote of itself; removed until ``note_made``, as the folder is about to change.
    """
    sweep(folder)
    try:
        same = read_json(made) == _made(card, folder)
        store = ArrayStore(folder)
        for name in dict.fromkeys(name for name, *_ in store.by_file(store.ids)):
            open_rows(folder / name)
    except (UserError, OSError):
        same = False
    made.unlink(missing_ok=True)
    return store if same else ArrayStore(fresh_folder(folder))


def note_made(card: Card, folder: Path, made: Path) -> None:
    """Write what made the squares of a folder, for the next run."""
    write_json(made, _made(card, folder))


def _made(card: Card, folder: Path) -> dict[str, str]:
    settings = card.pixels, card.resize, card.interpolation, card.antialias, card.fill(1), card.fill(3)
    code = "winnow/pictures", "winnow/backbone", "winnow/dataset", "winnow/model"
    by = made_by(settings, code=code, libraries=("pillow", "numpy", "torch", "torchvision"))
    return {"by": by, "index": hashlib.sha256((folder / "index.parquet").read_bytes()).hexdigest()}


def write_squares(dataset: Path, ids: Sequence[str], card: Card, known: ArrayStore) -> int:
    """Write the squares of all ids with their index, drop files that are not wanted, and return how many were decoded.

    Args:
        dataset: whose shards hold the images.
        ids: N of them.
        card: of the model.
        known: of ``known_squares``: the folder, and what of it may be used again.

    Raises:
        UserError: an image is missing or damaged.
    """
    folder, most = known.folder, _most(card)
    parts: dict[int, list[Part]] = {}
    jobs: dict[int, Job] = {}
    for number, group in enumerate(_groups(dataset, ids)):
        kept = _kept(known, group.ids, most)
        if kept is None:
            jobs[number] = group, _places(known, group.ids), card, folder
        else:
            parts[number] = kept
    parts |= zip(jobs, _run(list(jobs.values())), strict=True)
    sweep(folder)  # of a job that was killed, and ran again
    every = [part for number in sorted(parts) for part in parts[number]]
    write_index(folder, [(one, name, row) for some, name in every for row, one in enumerate(some)])
    for file in {file.name for file in folder.glob("*.npy")} - {name for _, name in every}:
        (folder / file).unlink()
    return sum(map(_unknown, jobs.values()))


def _groups(dataset: Path, ids: Sequence[str]) -> Iterator[Group]:
    """The row groups that hold the ids, each id in the first that has it."""
    missing = set(ids)
    for shard in sorted((dataset / "images").glob("*.parquet")):
        groups = ids_by_group(shard, dataset)
        for number, there in enumerate(groups):
            wanted = [one for one in there if one in missing]
            missing.difference_update(wanted)
            if wanted:
                yield Group(dataset, shard, number, wanted, len(wanted) / sum(map(len, groups)))
    lacking(dataset, missing, ())


def _most(card: Card) -> int:
    return max(1, ARRAY_BYTES // (3 * card.pixels**2))


def _split(channels: Sequence[int], most: int) -> list[list[int]]:
    """Positions of the rows of each file: grey ones apart from coloured ones, in order, at most so many."""
    parts = []
    for kind in (1, 3):
        mine = [position for position, count in enumerate(channels) if count == kind]
        parts += [mine[start : start + most] for start in range(0, len(mine), most)]
    return parts


def _places(known: ArrayStore, ids: Sequence[str]) -> list[Squares]:
    here = np.array([position for position, one in enumerate(ids) if one in known], np.int64)
    found = known.by_file([ids[position] for position in here])
    return [(known.folder / name, here[positions], rows) for name, positions, rows in found]


def _kept(known: ArrayStore, ids: Sequence[str], most: int) -> list[Part] | None:
    """The files that hold these ids alone and as a fresh run would write them; None where that is not so."""
    if any(one not in known for one in ids):
        return None
    lies: list[tuple[Path, int]] = [(known.folder, 0)] * len(ids)
    arrays = {}
    for file, positions, rows in _places(known, ids):
        arrays[file] = open_rows(file)
        for position, row in zip(positions.tolist(), rows.tolist(), strict=True):
            lies[position] = file, row
    parts: list[Part] = []
    for part in _split([arrays[file].shape[-1] for file, _ in lies], most):
        file = lies[part[0]][0]
        if [lies[position] for position in part] != [(file, row) for row in range(len(arrays[file]))]:
            return None
        parts.append(([ids[position] for position in part], file.name))
    return parts


def _unknown(job: Job) -> int:
    group, places, *_ = job
    return len(group.ids) - sum(len(rows) for *_, rows in places)


def _run(jobs: Sequence[Job]) -> list[list[Part]]:
    """The jobs' files, from workers where there is much to decode."""
    size = sum(job[0].shard.stat().st_size * job[0].share * _unknown(job) / len(job[0].ids) for job in jobs)
    if size >= HERE:
        return run_jobs(square_group, jobs, steps=len(jobs), label="pixels: groups of images")
    progress = tqdm(jobs, desc="pixels: groups of images", disable=None)
    return [square_group(group, places, card, folder, lambda: None) for group, places, card, folder in progress]


def square_group(group: Group, places: Sequence[Squares], card: Card, folder: Path, tick: Tick) -> list[Part]:
    """Write the squares of one row group: those at known places are copied, the others are decoded.

    Args:
        group: the images.
        places: of those that are known, by position in the group.
        card: of the model.
        folder: of the squares.
        tick: called once.

    Raises:
        UserError: an image is damaged.
    """
    squares: dict[int, Pixels] = {}
    for file, positions, rows in places:
        squares |= zip(positions.tolist(), open_rows(file)[rows], strict=True)
    new = {one: position for position, one in enumerate(group.ids) if position not in squares}
    try:
        with quiet():
            for one, content in images_in_shard(group.shard, new.keys(), [group.number]) if new else ():
                squares[new[one]] = as_square(decode_stored(content, group.dataset, one), card)
    except (DamagedError, FileNotFoundError):
        raise incomplete(group.shard, group.dataset) from None
    parts = []
    for part in _split([squares[position].shape[-1] for position in range(len(group.ids))], _most(card)):
        ids = [group.ids[position] for position in part]
        parts.append((ids, write_part(folder, ids, np.stack([squares[position] for position in part]))))
    tick()
    return parts
