"""Plant faults in a clean source: ``python -m bench.plant SOURCE OUT.zip``, for measuring where the truth is known.

The source is known to be clean, or has a truth.csv, by which it is made clean first: bare class folders, of which a
share of each class stays clean as test/; or splits, of which label_book/ and test/ stay as they are. In train/ and val/
images are filed under another class or replaced by junk: of small images of equal size, two blended, blocks shuffled, a
band of one smeared over, noise; of photographs, blur, one colour, noise, a part of another photograph. An image that is
not replaced keeps its bytes; one that is, its format. truth.csv says what was done. Equal arguments give equal bytes.
"""

import argparse
import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.clean import clean_of
from bench.junk import PHOTOGRAPH_JUNK, SMALL_JUNK, Pixels, Ruin, encoded_like
from winnow.dataset.images import encode_png
from winnow.dataset.samples import SPLITS
from winnow.intake.source import open_source
from winnow.intake.truth import TRUTH
from winnow.pictures.decode import PIXEL_LIMIT, check_header, decode, quiet

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
SMALL = 64  # pixels: the side of images that small images' junk is made for
JUDGED = ("train", "val")  # splits in which faults are planted
COLUMNS = ("name", "label", "noise")

Row = tuple[str, str, int | str]  # name, true class or nothing, 0 or what kind of junk
Read = Callable[[str], bytes]  # an image of the clean source, by name


@dataclass(frozen=True)
class Shares:
    """How many faults, and where."""

    wrong: float  # of train and val: another class than the folder says
    junk: float  # of train and val: no class
    test: float  # of each class of a bare source: stays clean, in test/


@dataclass(frozen=True)
class Planted:
    """A train or val image of the planted source."""

    name: str
    clean: str  # its name in the clean source
    label: str  # what that shows
    kind: int | None  # of the junk that takes its place
    other: str  # an image of another class, in the clean source
    number: int  # of the draws of its junk


def plant(
    images: Mapping[str, Pixels], *, wrong: float, junk: float, test: float, seed: int
) -> tuple[dict[str, Pixels], list[Row]]:
    """Small images of equal size: pixels by new name, and the rows of truth.csv.

    Args:
        images: pixels by ``<class>/<image>``.
        wrong: share of train that shows another class than its folder says.
        junk: share of train that shows none.
        test: share of each class that stays clean, in test/.
        seed: of every draw.
    """
    rng = np.random.default_rng(seed)
    classes = sorted({name.split("/")[0] for name in images})
    placed: dict[str, Pixels] = {}
    train: list[str] = []
    for label in classes:
        names = [name for name in sorted(images) if name.startswith(f"{label}/")]
        order = rng.permutation(len(names))
        split = round(test * len(names))
        placed |= {f"test/{names[n]}": images[names[n]] for n in order[:split]}
        train += [names[n] for n in sorted(order[split:])]
    faults = rng.permutation(len(train))
    relabelled = set(faults[: round(wrong * len(train))].tolist())
    ruined = set(faults[round(wrong * len(train)) :][: round(junk * len(train))].tolist())
    rows: list[Row] = []
    for number, name in enumerate(train):
        label, image = name.split("/")[0], images[name]
        other = str(rng.choice([one for one in classes if one != label]))
        folder = other if number in relabelled else label
        if number in ruined:
            partner = images[str(rng.choice([one for one in train if one.startswith(f"{other}/")]))]
            image = SMALL_JUNK[int(rng.integers(len(SMALL_JUNK)))](image, partner, rng)
        new = f"train/{folder}/{number:05d}.png"  # says nothing of the truth
        placed[new] = image
        rows.append((new, "" if number in ruined else label, int(number in ruined)))
    return placed, rows


def plant_names(names: Sequence[str], *, shares: Shares, kinds: int, seed: int) -> tuple[dict[str, str], list[Planted]]:
    """Which images stay as they are, by new name, and what becomes of the others.

    Args:
        names: ``<split>/<class>/<image>`` each, or ``<class>/<image>`` each.
        shares: how many faults, and where.
        kinds: how many kinds of junk there are; equally many are drawn of each.
        seed: of every draw.
    """
    rng = np.random.default_rng(seed)
    split_of = _splits(names)
    staying = {name: name for name in names if split_of.get(name, "train") not in JUDGED}
    judged = [name for name in names if name not in staying]
    label_of = {name: name.split("/")[1 if split_of else 0] for name in judged}
    classes = sorted(set(label_of.values()))
    for label in () if split_of else classes:
        members = [name for name in judged if label_of[name] == label]
        drawn = rng.permutation(len(members))[: round(shares.test * len(members))]
        staying |= {f"test/{members[n]}": members[n] for n in drawn}
    stays = set(staying.values())
    pool = [name for name in judged if name not in stays]
    order = rng.permutation(len(pool)).tolist()
    wrong, junk = (round(share * len(pool)) for share in (shares.wrong, shares.junk))
    numbers = rng.permutation(len(pool)).tolist()  # the new names: they say nothing of the truth
    pooled = np.array([label_of[name] for name in pool])
    places = {label: np.flatnonzero(pooled == label) for label in classes}
    planted = []
    for position, n in enumerate(order):
        name, label = pool[n], label_of[pool[n]]
        folder = str(rng.choice([one for one in classes if one != label])) if position < wrong else label
        ruined = position - wrong if wrong <= position < wrong + junk else None
        new = f"{split_of.get(name, 'train')}/{folder}/{numbers[n]:05d}{PurePosixPath(name).suffix}"
        other = pool[_other(places[label], len(pool), rng)] if ruined is not None else ""
        planted.append(Planted(new, name, label, None if ruined is None else ruined % kinds, other, numbers[n]))
    return staying, sorted(planted, key=lambda one: one.name)


def _other(same: npt.NDArray[np.int64], count: int, rng: np.random.Generator) -> int:
    """A place drawn among so many, but for those of the same class, which are sorted."""
    drawn = int(rng.integers(count - len(same)))
    return drawn + int(np.searchsorted(same - np.arange(len(same)), drawn, side="right"))


def planted_bytes(one: Planted, read: Read, kinds: Sequence[Ruin], seed: int) -> bytes:
    """The image as it stands in the planted source."""
    content = read(one.clean)
    if one.kind is None:
        return content
    with quiet():
        image, other = (decode(some, max_pixels=PIXEL_LIMIT) for some in (content, read(one.other)))
    if image.shape[-1] != other.shape[-1]:
        image, other = (np.broadcast_to(some, (*some.shape[:2], 3)) for some in (image, other))
    return encoded_like(kinds[one.kind](image, other, np.random.default_rng([seed, one.number])), content)


def plant_source(path: Path, out: Path, *, shares: Shares, seed: int) -> list[Row]:
    """Write a planted source as a zip, and give the rows of its truth.csv.

    Args:
        path: of a folder or zip, clean or with a truth.csv.
        out: the zip.
        shares: how many faults, and where.
        seed: of every draw.
    """
    with open_source(path) as source:
        clean = clean_of(source)

        def read(name: str) -> bytes:
            return source.container.read(clean[name])

        small = _equally_small(clean, read)
        if small and not _splits(list(clean)):
            images = {name: np.asarray(Image.open(io.BytesIO(read(name))).convert("RGB")) for name in clean}
            placed, rows = plant(images, wrong=shares.wrong, junk=shares.junk, test=shares.test, seed=seed)
            write_zip(out, ((name, encode_png(pixels)) for name, pixels in sorted(placed.items())), rows)
            return rows
        kinds = SMALL_JUNK if small else PHOTOGRAPH_JUNK
        return plant_into(out, list(clean), read, kinds, shares=shares, seed=seed)


def plant_into(
    out: Path, names: Sequence[str], read: Read, kinds: Sequence[Ruin], *, shares: Shares, seed: int
) -> list[Row]:
    """Write a planted source as a zip, one image after the other, and give the rows of its truth.csv.

    Args as for `plant_names`, of kinds of junk, with what gives an image's bytes. Memory: the names, and two images.
    """
    staying, planted = plant_names(names, shares=shares, kinds=len(kinds), seed=seed)
    rows: list[Row] = [
        (one.name, one.label, 0) if one.kind is None else (one.name, "", kinds[one.kind].__name__) for one in planted
    ]
    by_name = {one.name: one for one in planted}
    files = (
        (name, planted_bytes(by_name[name], read, kinds, seed) if name in by_name else read(staying[name]))
        for name in sorted([*staying, *by_name])
    )
    write_zip(out, files, rows)
    return rows


def _splits(names: Sequence[str]) -> dict[str, str]:
    """The split of each name; none of a bare source, where some folder is no split or holds images itself."""
    parts = {name: name.split("/") for name in names}
    if all(len(path) > 2 and path[0] in SPLITS for path in parts.values()):
        return {name: path[0] for name, path in parts.items()}
    return {}


def _equally_small(names: Iterable[str], read: Read) -> bool:
    """Whether all images are of one size, with no side above ``SMALL``."""
    first = None
    with quiet():
        for name in names:
            size = check_header(io.BytesIO(read(name)), max_pixels=PIXEL_LIMIT).size
            first = first or size
            if size != first or max(size) > SMALL:
                return False
    return True


def write_zip(out: Path, files: Iterable[tuple[str, bytes]], rows: Sequence[Row]) -> None:
    """A zip of stored files as they come, and truth.csv at its end; equal arguments give equal bytes."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
        archive.writestr(zipfile.ZipInfo(TRUTH, ZIP_EPOCH), table.getvalue())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--wrong", type=float, default=0.04)
    parser.add_argument("--junk", type=float, default=0.07)
    parser.add_argument("--test", type=float, default=0.2, help="of a bare source (default: 0.2)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shares = Shares(options.wrong, options.junk, options.test)
    rows = plant_source(options.source, options.out, shares=shares, seed=options.seed)
    faults = sum(noise != 0 or name.split("/")[1] != label for name, label, noise in rows)
    print(f"plant: {len(rows)} train and val images, {faults} of them faults; the rest as it was")


if __name__ == "__main__":
    main()
