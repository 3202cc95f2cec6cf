"""A source, opened and checked: whether a pipeline can start on it, and what counts as a fault of its files.

``check_source`` is the cheap check before a long run; the stage ``prepare`` makes the same checks.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from winnow.dataset.samples import SPLITS
from winnow.intake.container import Container, open_container
from winnow.intake.groups import GROUPS, parse_groups
from winnow.intake.layout import Entry, Layout, lay_out
from winnow.intake.names import folder_of
from winnow.intake.reading import read_headers
from winnow.intake.truth import TRUTH, Truth, by_sample, parse_truth, unknown_labels
from winnow.pictures.decode import UnreadableError
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError, shown

NOT_AN_IMAGE = "not an image"


OUTSIDE = "outside a class folder"


NAMED = 3  # unreadable files that the message names


@dataclass(frozen=True)
class Source:
    """An opened source on which a pipeline can start, as far as names show."""

    container: Container
    layout: Layout

    @property
    def where(self) -> str:
        """The source as messages name it."""
        return _where(self.container.path)

    def truth(self) -> dict[str, Truth] | None:
        """The content of truth.csv, by the names it uses, or None where the source has none.

        Raises:
            UserError: the file cannot be read, is malformed, or its labels are not the source's.
        """
        with self._beside(TRUTH) as file:
            if file is None:
                return None
            truths = parse_truth(file, self.where, entries=len(self.container.files))
        unknown_labels(truths.values(), self.layout.classes, self.where)
        return truths

    def groups(self) -> dict[str, str]:
        """The content of groups.csv, by the names it uses; empty where the source has none.

        Raises:
            UserError: the file cannot be read or is malformed.
        """
        with self._beside(GROUPS) as file:
            return {} if file is None else parse_groups(file, self.where, entries=len(self.container.files))

    def _find_beside(self, file: str) -> str | None:
        """The file's path inside the source; its name may be written in any case.

        Raises:
            UserError: it lies in a split's folder, where it would be left out unseen.
        """
        wrapper, files = self.layout.wrapper, self.container.files
        if (exact := next((key for key in (wrapper + file, file) if key in files), None)) is not None:
            return exact
        named = sorted(key for key in files if key.rpartition("/")[2].casefold() == file)
        found = next((key for key in named if folder_of(key) in (wrapper.removesuffix("/"), "")), None)
        misplaced = next((key for key in named if folder_of(key) in {wrapper + split for split in SPLITS}), None)
        if found is None and misplaced is not None:
            raise UserError(f"{self.where}: {shown(misplaced)} lies in a split's folder; move it beside these folders")
        return found

    @contextlib.contextmanager
    def _beside(self, file: str) -> Iterator[BinaryIO | None]:
        """A file beside the splits' or classes' folders, or at the source's root; None where there is none."""
        key = self._find_beside(file)
        if key is None:
            yield None
            return
        try:
            with self.container.open(key) as opened:
                yield opened
        except (UnreadableError, OSError) as error:
            raise UserError(f"{self.where}: {file} cannot be read ({error}); put it there again") from None


def resolve_source(source: str) -> Path:
    """The path that ``dataset.source`` names, relative to the repository.

    Raises:
        UserError: it is empty, which would name the repository itself.
    """
    if not source.strip():
        raise UserError("params.yaml: dataset.source is empty; give the path of a folder or of a zip")
    return ROOT / source


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """The source at a path, open for reading and checked by its names.

    Raises:
        UserError: no pipeline can start on it; the message says why and what to do.
    """
    container = open_container(path)
    try:
        layout = lay_out(container.files, container.folders, _where(path), hidden=container.hidden)
        yield Source(container, layout)
    finally:
        container.close()


def check_source(path: Path, *, max_unreadable: float, max_pixels: int) -> None:
    """Stop with one sentence if no pipeline can start on the source.

    Cheap: lists names, reads truth.csv, groups.csv and the header of each image.

    Args:
        path: a folder or a zip.
        max_unreadable: fraction in [0, 1) of the images that may be unreadable by their headers.
        max_pixels: an image of more is unreadable.

    Raises:
        UserError: as ``open_source``, or truth.csv or groups.csv is malformed or names none of the images, or too many
            headers are unreadable.
    """
    with open_source(path) as source:
        names = [entry.name for entry in source.layout.entries]
        for file, listed in ((TRUTH, source.truth() or {}), (GROUPS, source.groups())):
            by_sample(listed, names, source.layout.wrapper, file, source.where)
        faults = Faults(source, max_unreadable)
        reader = read_headers(source.container, source.layout.entries, max_pixels=max_pixels)
        with contextlib.closing(reader) as headers:
            for entry, error in headers:
                if error:
                    faults.add(entry.name, reason(entry, error))


def reason(entry: Entry, error: UnreadableError) -> str:
    """Why a file gives no sample; one that neither gives an image nor promises one is no fault."""
    return str(error) if entry.promises_image else NOT_AN_IMAGE


class Faults:
    """Files found without pixels, and the limit to them; adding one takes the same time however many there are."""

    def __init__(self, source: Source, max_unreadable: float) -> None:
        """``max_unreadable``: the fraction of the promised images that may be unreadable."""
        self.found: list[tuple[str, str]] = []  # name, reason
        self._where, self._promised, self._share = source.where, source.layout.promised, max_unreadable
        self._unreadable, self._first = 0, list[str]()

    def add(self, name: str, words: str) -> None:
        """Note a file and why it gives no pixels.

        Raises:
            UserError: more of the promised images are known to be unreadable than is allowed.
        """
        self.found.append((name, words))
        if words == NOT_AN_IMAGE:
            return
        self._unreadable += 1
        if len(self._first) < NAMED:
            self._first.append(f"{shown(name)} ({words})")
        # A product such as 0.29 * 100 falls just short.
        if self._unreadable > self._share * self._promised + 1e-9:
            raise UserError(
                f"{self._where}: more than {self._share:.0%} of its {self._promised} images cannot be read, "
                f"{', '.join(self._first)} first; mend or remove them, or raise prepare.max_unreadable in params.yaml"
            )


def _where(path: Path) -> str:
    return f"source {shown(path)}"
