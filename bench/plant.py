"""Plant faults in a clean source: ``python -m bench.plant SOURCE OUT.zip``, for measuring where the truth is known.

The source is bare class folders, known to be clean. A share of each class stays clean as test/; in train/, images are
filed under another class or replaced by junk: two images blended, blocks shuffled, a band of one smeared over, noise.
truth.csv says what was done. Equal arguments give equal bytes.
"""

import argparse
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from winnow.intake.container import open_container

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
Pixels = npt.NDArray[np.uint8]


def blended(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """The mean of two images of different classes."""
    return ((image.astype(np.uint16) + other) // 2).astype(np.uint8)


def shuffled(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """The image's 4 x 4 blocks in another order."""
    side = image.shape[0] // 4
    blocks = [image[y : y + side, x : x + side] for y in range(0, 4 * side, side) for x in range(0, 4 * side, side)]
    order = rng.permutation(16)
    rows = [np.concatenate([blocks[n] for n in order[row : row + 4]], axis=1) for row in range(0, 16, 4)]
    return np.concatenate(rows)


def smeared(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """One column of the image, drawn over its whole width."""
    return np.repeat(image[:, [int(rng.integers(image.shape[1]))]], image.shape[1], axis=1)


def noisy(image: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """Noise with the image's own mean and spread."""
    noise = rng.normal(image.mean(), image.std(), image.shape)
    return noise.clip(0, 255).astype(np.uint8)


JUNK = (blended, shuffled, smeared, noisy)


def plant(
    images: Mapping[str, Pixels], *, wrong: float, junk: float, test: float, seed: int
) -> tuple[dict[str, Pixels], list[tuple[str, str, int]]]:
    """Pixels by new name, and the rows of truth.csv.

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
    rows = []
    for number, name in enumerate(train):
        label, image = name.split("/")[0], images[name]
        other = str(rng.choice([one for one in classes if one != label]))
        folder = other if number in relabelled else label
        if number in ruined:
            partner = images[str(rng.choice([one for one in train if one.startswith(f"{other}/")]))]
            image = JUNK[int(rng.integers(len(JUNK)))](image, partner, rng)
        new = f"train/{folder}/{number:05d}.png"  # says nothing of the truth
        placed[new] = image
        rows.append((new, "" if number in ruined else label, int(number in ruined)))
    return placed, rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--wrong", type=float, default=0.04)
    parser.add_argument("--junk", type=float, default=0.07)
    parser.add_argument("--test", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    container = open_container(options.source)
    images = {}
    for name in sorted(container.files):
        if len(PurePosixPath(name).parts) == 2:
            images[name] = np.asarray(Image.open(io.BytesIO(container.read(name))).convert("RGB"))
    placed, rows = plant(images, wrong=options.wrong, junk=options.junk, test=options.test, seed=options.seed)
    with zipfile.ZipFile(options.out, "w", zipfile.ZIP_STORED) as archive:
        for name, pixels in sorted(placed.items()):
            sink = io.BytesIO()
            Image.fromarray(pixels).save(sink, format="PNG")
            archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), sink.getvalue())
        lines = ["name,label,noise", *(f"{name},{label},{noise}" for name, label, noise in rows)]
        archive.writestr(zipfile.ZipInfo("truth.csv", ZIP_EPOCH), "\n".join(lines) + "\n")
    faults = sum(noise or name.split("/")[1] != label for name, label, noise in rows)
    print(f"plant: {len(rows)} training images, {faults} of them faults; {len(placed) - len(rows)} to test")


if __name__ == "__main__":
    main()
