"""How well near-duplicates are found among photographs, and how long that takes.

Two plantings: the one that came with the photographs, and one made here with a seed of copies of its clean photographs,
on which the thresholds were chosen.
"""

import csv
import io
import os
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from bench.timing import Figure, figure, interleaved
from winnow.intake.container import open_container
from winnow.intake.near_duplicates import candidates, confirm, groups
from winnow.intake.perceptual_hash import perceptual_hash
from winnow.intake.registration import thumbnail
from winnow.intake.truth import TRUTH, parse_truth
from winnow.pictures.decode import PIXEL_LIMIT, decode

DATA = Path(os.environ.get("WINNOW_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SOURCE = DATA / "trash-photos.zip"
DUPLICATES = SOURCE.with_name(f"{SOURCE.name}.duplicates.csv")
COPIED = 100  # photographs of which one copy of each kind is planted
SEED = 1
Pixels = npt.NDArray[np.uint8]
Pairs = set[tuple[str, str]]


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """4 % of the side off each border."""
    width, height = image.size
    across, down = round(0.04 * width), round(0.04 * height)
    return image.crop((across, down, width - across, height - down))


def resized(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Half to nine tenths of the size."""
    scale = rng.uniform(0.5, 0.9)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)


def brightened(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """By 10 to 30 %."""
    return ImageEnhance.Brightness(image).enhance(rng.uniform(1.1, 1.3))


def turned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """By 2 degrees either way, with black corners."""
    return image.rotate(float(rng.choice([-2, 2])), Image.Resampling.BICUBIC)


KINDS: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "re-encoded": lambda image, rng: image,
    "resized": resized,
    "cropped": cropped,
    "brightened": brightened,
    "turned": turned,
}


def plant(images: Mapping[str, Pixels], rng: np.random.Generator) -> tuple[dict[str, Pixels], Pairs]:
    """A JPEG copy of each kind of each image, by name, and the pairs of an image and its copies."""
    copies, pairs = {}, set()
    for name, pixels in images.items():
        for kind, change in KINDS.items():
            sink = io.BytesIO()
            quality = int(rng.integers(30, 80)) if kind == "re-encoded" else 88
            change(Image.fromarray(pixels).convert("RGB"), rng).save(sink, "JPEG", quality=quality)
            copies[f"{name} {kind}"] = decode(sink.getvalue(), max_pixels=PIXEL_LIMIT)
        pairs |= set(combinations(sorted([name, *(f"{name} {kind}" for kind in KINDS)]), 2))
    return copies, pairs


def find(images: Mapping[str, Pixels]) -> Pairs:
    """Pairs of names that come into one group, the earlier name first."""
    names = sorted(images)
    hashes = np.stack([perceptual_hash(images[name]) for name in names])
    pairs = confirm(candidates(hashes), lambda rows: np.stack([thumbnail(images[names[row]]) for row in rows]))
    families: dict[int, list[str]] = {}
    for name, group in zip(names, groups(len(names), pairs).tolist(), strict=True):
        families.setdefault(group, []).append(name)
    return {pair for family in families.values() for pair in combinations(family, 2)}


def measure(*, images: int, rounds: int) -> list[Figure]:
    """Recall, precision and time; nothing where the photographs are absent. ``images`` is for the other benchmarks."""
    if not (SOURCE.exists() and DUPLICATES.exists()):
        print(f"  skipped: there are no photographs with planted near-duplicates at {SOURCE}")
        return []
    container = open_container(SOURCE)
    named = sorted(name for name in container.files if name.endswith(".jpg"))
    photos = {name: decode(container.read(name), max_pixels=PIXEL_LIMIT) for name in named}
    rows = list(csv.DictReader(io.StringIO(DUPLICATES.read_text("utf-8"))))
    wanted = {(min(row["one"], row["other"]), max(row["one"], row["other"])) for row in rows}
    involved = {name for pair in wanted for name in pair}
    with container.open(TRUTH) as file:
        truths = parse_truth(file, str(SOURCE), entries=len(container.files))
    sound = [name for name, truth in truths.items() if not truth.noise]  # of train; nothing is chosen on test
    clean = sorted(set(sound) - involved)
    rng = np.random.default_rng(SEED)
    originals = {name: photos[name] for name in rng.permutation(clean)[:COPIED].tolist()}
    copies, pairs = plant(originals, rng)
    given, own = find(photos), find(originals | copies)
    times = interleaved({"find": lambda: find(photos)}, rounds=rounds)
    return [
        figure("near-duplicates as delivered: recall", [len(given & wanted) / len(wanted)], "", at_least=0.95),
        figure("near-duplicates as delivered: precision", [len(given & wanted) / len(given)], "", at_least=0.99),
        figure("near-duplicates planted here: recall", [len(own & pairs) / len(pairs)], "", at_least=0.95),
        figure("near-duplicates planted here: precision", [len(own & pairs) / len(own)], "", at_least=0.99),
        figure("near-duplicates of 1,000 photographs", [1000 * t / len(photos) for t in times["find"]], "s"),
    ]
