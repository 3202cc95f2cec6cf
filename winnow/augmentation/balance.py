"""How many copies each image gets, so that every class has the same count. Pixels are not read.

The count is the largest that the budget allows: budget // K for each of K classes. Source images are never removed, so
no class may be larger than that already.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from winnow.dataset.samples import LEAST, class_names, column, only_source, only_splits
from winnow.pipeline.messages import UserError, plain

Indices = npt.NDArray[np.int64]

SHOWN = 5  # classes in a message


def demand_balance(samples: pa.Table, *, budget: int, max_images: int) -> int:
    """``images_per_class`` of a dataset's training images; cheap, so that a stage checks before it trains.

    Args:
        samples: a samples table; copies of an earlier augmentation do not count, since they are made anew.
        budget: see ``images_per_class``.
        max_images: likewise.

    Raises:
        UserError: the dataset cannot be balanced so.
    """
    n_val = only_splits(only_source(samples), "val").num_rows
    return images_per_class(_training_images(samples), budget=budget, n_val=n_val, max_images=max_images)


def multiple_of_largest(samples: pa.Table, multiple: float) -> int:
    """Training images that every class is brought to where no cap applies: a multiple of the largest class.

    Args:
        samples: a samples table; copies of an earlier augmentation do not count.
        multiple: at least 1.
    """
    return math.ceil(multiple * max(_training_images(samples).values()) - 1e-9)


def demand_pairs(samples: pa.Table, dataset: Path) -> None:
    """Stop where a class has fewer than ``LEAST["train"]`` training images.

    Args:
        samples: a samples table; copies do not count.
        dataset: where it is from, for the sentence.

    Raises:
        UserError: a class has one or none.
    """
    for name, count in _training_images(samples).items():
        if count < LEAST["train"]:
            raise UserError(
                f"{dataset}: class {name} has {count} training images; {LEAST['train']} are the least, so that one can "
                f"be judged by another: add some"
            )


def _training_images(samples: pa.Table) -> dict[str, int]:
    """Training images by class, copies left out; every class of the dataset is a key."""
    counts = Counter(only_splits(only_source(samples), "train")["label"].to_pylist())
    return {name: counts[name] for name in class_names(samples)}


def images_per_class(counts: Mapping[str, int], *, budget: int, n_val: int, max_images: int) -> int:
    """The count that every class is brought to.

    Args:
        counts: training images by class before augmentation; every class of the source is a key.
        budget: training images in all classes together after augmentation, source images included.
        n_val: validation images, which are never augmented.
        max_images: that an arm of the comparison may hold in train and val together.

    Raises:
        UserError: a class has no training image, or one has more than its share of the budget, or the budget passes
            what an arm may hold.
    """
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"class {name} has no training image left to augment; cleanse less, or add images of it")
    room = max_images - n_val
    share = budget // len(counts)
    largest = max(counts, key=lambda name: counts[name])
    needed = counts[largest] * len(counts)
    given = f"params.yaml: augment.budget is {budget}"
    if needed > room:
        raise UserError(
            f"class {largest} has {counts[largest]} training images, {len(counts)} classes of that count are {needed}, "
            f"and judge.max_images ({max_images}) leaves {room} beside the {n_val} validation images; no "
            f"augment.budget balances this source, take images of {largest} away"
        )
    if needed > budget:
        raise UserError(
            f"{given}, {share} images for each of {len(counts)} classes, but class {largest} has {counts[largest]} "
            f"already; raise it to {needed} or more"
        )
    if budget > room:
        raise UserError(
            f"{given}, which with {n_val} validation images passes judge.max_images ({max_images}); lower it to {room} "
            f"or less"
        )
    return share


def without_surplus(samples: pa.Table, *, per_class: int, rng: np.random.Generator) -> pa.Table:
    """The samples without surplus copies: in each class, as many as its training images exceed ``per_class``.

    Args:
        samples: a samples table.
        per_class: training images that a class may have; source images all stay, even if they are more.
        rng: chooses the copies that are removed.
    """
    train, copied = column(samples, "split") == "train", column(samples, "parent") != ""
    stays = np.ones(len(samples), dtype=bool)
    for name in class_names(samples):
        members = train & (column(samples, "label") == name)
        surplus = max(0, int(members.sum()) - per_class)
        stays[rng.permutation(np.flatnonzero(members & copied))[:surplus]] = False
    return samples.filter(pa.array(stays))


def choose_parents(
    labels: Sequence[int] | Indices, *, per_class: int, rng: np.random.Generator, most: int | None = None
) -> Indices:
    """The source image of each copy: within a class every image is used equally often, or once more than another.

    Args:
        labels: (N,) class index of each training image; all of them stay in the balanced set.
        per_class: images that a class shall have, source images included; none has more.
        rng: chooses, in each class, those that are used once more.
        most: copies of one image, even if its class then stays below ``per_class``; None: any number.

    Returns:
        (M,) indices into ``labels``, ascending, each repeated once per copy.

    Raises:
        ValueError: a class has more than ``per_class``.
    """
    labels = np.asarray(labels, dtype=np.int64)
    times = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        missing = per_class - len(members)
        if missing < 0:
            raise ValueError(f"class {label} has {len(members)} images, more than per_class = {per_class}")
        times[members] = missing // len(members)
        times[rng.permutation(members)[: missing % len(members)]] += 1
    return np.repeat(np.arange(len(labels)), times if most is None else np.minimum(times, most))


def room_left(samples: pa.Table, source: pa.Table, most: int) -> Indices:
    """(N,) copies that each of N source images may have beside those among the samples.

    Args:
        samples: source images and copies.
        source: the source images.
        most: copies of one image.
    """
    copies = Counter(samples["parent"].to_pylist())
    had = np.array([copies[one] for one in source["id"].to_pylist()], dtype=np.int64)
    return np.maximum(most - had, 0)


def short_of_balance(classes: Sequence[str], counts: Indices, *, per_class: int, most: int | None) -> str:
    """What to say of the classes that stay below the count of the others; empty where there are none.

    Args:
        classes: K names.
        counts: (K,) training images of each, copies included.
        per_class: that each was to have.
        most: copies of one image, which alone keeps a class below; None: any number.
    """
    short = [f"{plain(classes[label])} ({counts[label]})" for label in np.flatnonzero(counts < per_class).tolist()]
    if not short:
        return ""
    more = f" and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
    said = ", ".join(short[:SHOWN]) + more
    return f"; fewer in {said}, since an image has at most {most} copies (augment.max_copies)"


def choose_share(labels: Sequence[int] | Indices, *, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """(M,) bool, true for the given share of each class, rounded to the nearest count; chosen by ``rng``."""
    labels = np.asarray(labels, dtype=np.int64)
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        chosen[members[: round(share * len(members))]] = True
    return chosen
