"""How many copies each image gets, so that every class has the same count. Pixels are not read.

The count is the largest that the budget allows: budget // K for each of K classes. Source images are never removed:
where a class has more than that, the others are brought as near to it as the rest of the budget allows, and where the
source images fill the budget already, no class gets copies.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from winnow.dataset.samples import LEAST, class_names, label_indices, only_source, only_splits
from winnow.pipeline.messages import UserError, plain

Indices = npt.NDArray[np.int64]

SHOWN = 5  # classes in a message


def count_within(samples: pa.Table, *, budget: int, max_images: int) -> int:
    """``images_per_class`` of a dataset's training images.

    Args:
        samples: a samples table; copies of an earlier augmentation do not count, since they are made anew.
        budget: training images in all classes together after augmentation, source images included.
        max_images: that an arm of the comparison may hold in train and val together.

    Raises:
        UserError: a class has no training image.
    """
    n_val = only_splits(only_source(samples), "val").num_rows
    return images_per_class(_training_images(samples), room=min(budget, max_images - n_val))


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
    classes = class_names(samples)
    counts = np.bincount(label_indices(only_splits(only_source(samples), "train")), minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def images_per_class(counts: Mapping[str, int], *, room: int) -> int:
    """The count that every class is brought to which has fewer: the largest n with sum(max(count, n)) <= room.

    Args:
        counts: training images by class before augmentation; every class of the source is a key.
        room: training images in all classes together after augmentation, source images included.

    Returns:
        n; not above the smallest class where the source images fill the room already.

    Raises:
        UserError: a class has no training image.
    """
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"class {name} has no training image left to augment; cleanse less, or add images of it")
    ordered = sorted(counts.values())
    above, level = sum(ordered), 0
    for raised, smallest in enumerate(ordered, start=1):
        above -= smallest  # images of the classes that are larger than the raised ones
        level = (room - above) // raised
        if raised < len(ordered) and level <= ordered[raised]:
            break
    return max(0, level)


def reached(counts: Indices, *, copies: int, setting: str) -> str:
    """What to say of the counts where a budget bounds them.

    Args:
        counts: (K,) training images of each class, copies included.
        copies: among them.
        setting: that bounds them, as params.yaml calls it.
    """
    if counts.min() == counts.max():
        return f"{counts.max()} training images in each of {len(counts)} classes"
    made = "" if copies else "no copies: "
    return f"{made}{counts.min()} to {counts.max()} training images in {len(counts)} classes, as {setting} allows"


def without_surplus(samples: pa.Table, *, per_class: int, rng: np.random.Generator) -> pa.Table:
    """The samples without surplus copies: in each class, as many as its training images exceed ``per_class``.

    Args:
        samples: a samples table.
        per_class: training images that a class may have; source images all stay, even if they are more.
        rng: chooses the copies that are removed.
    """
    train = pc.equal(samples["split"], "train").to_numpy()
    copied, labels = samples["parent"].is_valid().to_numpy(), label_indices(samples)
    stays = np.ones(len(samples), dtype=bool)
    sizes = np.bincount(labels[train], minlength=len(class_names(samples)))
    for label, size in enumerate(sizes.tolist()):
        copies = np.flatnonzero(train & copied & (labels == label))
        stays[rng.permutation(copies)[: max(0, size - per_class)]] = False
    return samples.filter(pa.array(stays))


def choose_parents(
    labels: Sequence[int] | Indices, *, per_class: int, rng: np.random.Generator, most: int | None = None
) -> Indices:
    """The source image of each copy: within a class every image is used equally often, or once more than another.

    Args:
        labels: (N,) class index of each training image; all of them stay in the balanced set.
        per_class: images that a class shall have, source images included; one that has more gets no copies.
        rng: chooses, in each class, those that are used once more.
        most: copies of one image, even if its class then stays below ``per_class``; None: any number.

    Returns:
        (M,) indices into ``labels``, ascending, each repeated once per copy.
    """
    labels = np.asarray(labels, dtype=np.int64)
    times = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        missing = max(0, per_class - len(members))
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
    parents = pc.index_in(samples["parent"].drop_null(), value_set=source["id"].combine_chunks())
    had = np.bincount(parents.drop_null().to_numpy(), minlength=len(source))  # (N,)
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


def filled_up(classes: Sequence[str], counts: Indices, *, per_class: int, copies: int, most: int | None) -> str:
    """What to say of the counts once copies fill up what cleansing took away.

    Args:
        classes: K names.
        counts: (K,) training images of each, copies included.
        per_class: that each was to have.
        copies: that were made.
        most: copies of one image; None: judge.max_images bounds them instead.
    """
    if most is None:
        return reached(counts, copies=copies, setting="judge.max_images")
    short = short_of_balance(classes, counts, per_class=per_class, most=most)
    return f"{per_class} training images in each of {len(classes)} classes{short}"


def choose_share(labels: Sequence[int] | Indices, *, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """(M,) bool, true for the given share of each class, rounded to the nearest count; chosen by ``rng``."""
    labels = np.asarray(labels, dtype=np.int64)
    chosen = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        chosen[members[: round(share * len(members))]] = True
    return chosen
