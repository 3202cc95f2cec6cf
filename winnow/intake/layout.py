"""Which file of a source is an image of which class in which split, derived from names alone.

    train/<class>/<image>, optional val/, label_book/, test/ of the same form; or <class>/<image>

Folders around the layout are skipped. Below a class folder any depth is allowed: the class is the folder nearest to the
top. Every file there is tried as an image, whatever its name; one that is not an image counts as unreadable only if its
name promises one (a known suffix, or none). Files outside class folders are not samples. A folder of images beside
``train/`` that is none of the four, and splits by other names or below the classes, are rejected, since a wrong guess
could train on a test set.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from winnow.dataset.samples import SPLITS
from winnow.intake.names import folder_of, named_as_image, suffix
from winnow.pipeline.messages import UserError, natural_order, shown

# What people call splits, in any case, alone or in a name such as seg_train: the split that is meant.
SPLIT_WORDS = {
    **{name: name for name in SPLITS},
    **{"training": "train", "testing": "test", "valid": "val", "validation": "val"},
    **{"dev": "val", "eval": "test", "evaluation": "test"},
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that lies in a class folder."""

    name: str  # inside the source, without the folders around it
    key: str  # inside the container
    split: str  # of SPLITS; train in a bare source
    label: str

    @property
    def promises_image(self) -> bool:
        """Whether the name is an image's; only then is a file without pixels a fault of the source."""
        return named_as_image(self.name) or not suffix(self.name)


@dataclass(frozen=True)
class Layout:
    """The source as its names describe it."""

    wrapper: str  # the folders around the layout, "" or ending in /
    entries: list[Entry]  # by name
    strays: list[str]  # images outside class folders, by name
    classes: list[str]  # of train, in natural order, those without images too

    @cached_property
    def promised(self) -> int:
        """How many images the names promise."""
        return sum(entry.promises_image for entry in self.entries)


def lay_out(
    files: Collection[str], folders: Collection[str], where: str, *, hidden: Collection[str] = frozenset()
) -> Layout:
    """The layout of a source on which a pipeline can start, as far as names show.

    Args:
        files: every file's path.
        folders: every folder's path, so that an empty class is seen.
        where: the source as messages name it.
        hidden: folders left out for their name's dot that have images directly in them.

    Raises:
        UserError: no images, one class, a class without training images, a class or folder unknown to train/, or a
            hidden folder that may be a class.
    """
    wrapper = _wrapper(files)
    below = sorted(name.removeprefix(wrapper) for name in files if name.startswith(wrapper))
    beside = sorted(name for name in files if not name.startswith(wrapper) and named_as_image(name))
    has_splits = _has_splits(below, where)
    _reject_hidden(hidden, wrapper, has_splits, where)
    level = 1 if has_splits else 0  # which part of a path is the class
    entries, strays = [], []
    one = dict[str, str]()  # object for equal words, which occur once a file
    for name in below:
        parts = name.split("/", level + 1)
        if len(parts) > level + 1 and (not has_splits or parts[0] in SPLITS):
            split, label = parts[0] if has_splits else "train", parts[level]
            entries.append(Entry(name, wrapper + name, one.setdefault(split, split), one.setdefault(label, label)))
        elif named_as_image(name):
            if len(parts) > 1 and parts[0] not in SPLITS:
                raise UserError(
                    f"{where}: the folder {shown(parts[0])} beside train/ is none of {', '.join(SPLITS)}; "
                    "rename it to the one it is, or take it out"
                )
            strays.append(name)
    classes = {entry.label for entry in entries if entry.split == "train"}
    for folder in folders:
        parts = folder.removeprefix(wrapper).split("/")
        if folder.startswith(wrapper) and len(parts) == level + 1 and (not has_splits or parts[0] == "train"):
            classes.add(parts[level])  # an empty folder is a class too: one without images
    layout = Layout(wrapper, entries, strays + beside, sorted(classes, key=natural_order))
    _check(layout, where)
    return layout


def reject_untrained(classes: Collection[str], trained: Collection[str], where: str, which: str = "") -> None:
    """Stop at the first class that has no training image.

    Args:
        classes: of the source.
        trained: those that have a training image.
        where: the source as messages name it.
        which: what kind of images it lacks.

    Raises:
        UserError: a class is not among ``trained``.
    """
    for name in classes:
        if name not in trained:
            raise UserError(
                f"{where}: class {shown(name)} has no training images{which}; add some or remove its folder"
            )


def _wrapper(names: Collection[str]) -> str:
    """The folders around the layout: as long as one folder holds every folder with files, and is no split itself.

    So it begins the path of the deepest folder. It ends before the first split, where another folder's path parts from
    that one, and before that folder itself, which is a class.
    """
    folders = {folder_of(name) for name in names} - {""}
    deepest = max(folders, key=lambda folder: folder.count("/"), default="").split("/")
    length = next((n for n, part in enumerate(deepest[:-1]) if part in SPLITS), len(deepest) - 1)
    for folder in folders:
        path = folder.split("/")
        shared = next((n for n, pair in enumerate(zip(path, deepest, strict=False)) if pair[0] != pair[1]), len(path))
        if shared < len(path):
            length = min(length, shared)
    return "".join(f"{part}/" for part in deepest[:length])


def _reject_hidden(hidden: Collection[str], wrapper: str, has_splits: bool, where: str) -> None:
    """Stop at a folder that stands where classes or splits do, and would be left out for its name's dot alone."""
    for folder in sorted(hidden):
        around = f"{folder_of(folder)}/".removeprefix("/")
        if wrapper.startswith(around) or (has_splits and around.removeprefix(wrapper).removesuffix("/") in SPLITS):
            raise UserError(
                f"{where}: the folder {shown(folder)} holds images, and names that begin with a dot are skipped; "
                "rename it if it is a class, or take it out"
            )


def _has_splits(names: Collection[str], where: str) -> bool:
    """Whether the source is laid out as train/<class>/<image>; a class may be called train in a bare one."""
    tops = {name.split("/")[0] for name in names if "/" in name}
    deep = {name.split("/")[0] for name in names if name.count("/") >= 2} & set(SPLITS)
    if "train" in deep or (tops and tops <= set(SPLITS)):
        return True
    if deep:
        raise UserError(f"{where} has {min(deep)}/<class>/ but no train/<class>/; move its class folders into train/")
    _reject_other_splits(names, where)
    return False


def _splits_in(names: Collection[str]) -> list[str]:
    """Names of several splits, each a split's word alone, or all with the same other words beside it.

    So ``seg_train`` and ``seg_test`` are splits, ``train station`` and ``test tube`` are not.
    """
    found: dict[tuple[str, ...], dict[str, str]] = {}  # by the other words: name to split
    for name in sorted(names):
        words = re.findall(r"[^\W\d_]+|\d+", name.casefold())
        place = next((n for n, word in enumerate(words) if word in SPLIT_WORDS), None)
        if name.casefold() in SPLITS:
            found.setdefault((), {})[name] = name.casefold()
        elif place is not None:
            found.setdefault((*words[:place], *words[place + 1 :]), {})[name] = SPLIT_WORDS[words[place]]
    return next((list(alike) for alike in found.values() if len(set(alike.values())) > 1), [])


def _reject_other_splits(names: Collection[str], where: str) -> None:
    """Stop where the folders of a source that looks bare are splits by other names, or lie below the classes.

    Treated as classes they would give meaningless results; a class may nevertheless be called train, or test.
    """
    paths = [name.split("/", 2) for name in names if "/" in name]
    tops = {parts[0] for parts in paths}
    named = _splits_in(tops)
    nested = any(len(parts) > 2 and parts[0] in named for parts in paths)
    if named and (nested or len(named) == len(tops)):
        raise UserError(
            f"{where}: {' and '.join(map(shown, named[:2]))} look like splits; name the splits {', '.join(SPLITS)}, "
            "with the class folders in them"
        )
    splits = _splits_in({parts[1] for parts in paths if len(parts) > 2})
    if splits:
        raise UserError(
            f"{where}: {' and '.join(map(shown, splits[:2]))} lie below the classes; lay it out as "
            "train/<class>/<image>, test/<class>/<image>"
        )


def _check(layout: Layout, where: str) -> None:
    images = [entry for entry in layout.entries if entry.promises_image]
    if not images:
        found = f"; {len(layout.strays)} lie outside class folders" if layout.strays else ""
        raise UserError(
            f"{where} holds no images in class folders{found}; lay it out as train/<class>/<image> or <class>/<image>"
        )
    trained = {entry.label for entry in images if entry.split == "train"}
    if not trained:
        raise UserError(f"{where} holds no training images; lay them out as train/<class>/<image>")
    classes = set(layout.classes)
    for entry in images:
        if entry.label not in classes:
            raise UserError(
                f"{where}: class {shown(entry.label)} of {entry.split}/ is unknown to train/; "
                "add training images of it, or rename its folder"
            )
    if len(layout.classes) == 1:
        raise UserError(
            f"{where} has only one class, {shown(layout.classes[0])}; a classifier needs two or more class folders"
        )
    reject_untrained(layout.classes, trained, where)
