"""A source, opened and checked: whether a pipeline can start on it, and what counts as a fault of its files.

``check_source`` is the cheap check before a long run; the stage ``prepare`` makes the same checks.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from winnow.intake.container import Container, open_container
from winnow.intake.groups import GROUPS, parse_groups
from winnow.intake.layout import Entry, Layout, lay_out
from winnow.intake.truth import TRUTH, Truth, parse_truth, unknown_labels
from winnow.pictures.decode import UnreadableError, check_header, quiet
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError, shown

NOT_AN_IMAGE = "not an image"


OUTSIDE = "outside a class folder"


@dataclass(frozen=True)
class Source:
    """An opened source on which a pipeline can start, as far as names show."""

    container: Container
    layout: Layout

    @property
    def where(self) -> str:
        """The source as messages name it."""
        return _where(self.container.path)

    @property
    def promised(self) -> int:
        """How many images the names promise."""
        return sum(entry.promises_image for entry in self.layout.entries)

    def truth(self) -> dict[str, Truth] | None:
        """The content of truth.csv, by the names it uses, or None where the source has none.

        Raises:
            UserError: the file cannot be read, is malformed, or its labels are not the source's.
        """
        content = self._beside(TRUTH)
        if content is None:
            return None
        truths = parse_truth(content, self.where)
        unknown_labels(truths.values(), self.layout.classes, self.where)
        return truths

    def groups(self) -> dict[str, str]:
        """The content of groups.csv, by the names it uses; empty where the source has none.

        Raises:
            UserError: the file cannot be read or is malformed.
        """
        content = self._beside(GROUPS)
        return {} if content is None else parse_groups(content, self.where)

    def _beside(self, file: str) -> bytes | None:
        """A file beside the splits' or classes' folders, or at the source's root; None where there is none."""
        for key in (self.layout.wrapper + file, file):
            if key in self.container.files:
                try:
                    return self.container.read(key)
                except UnreadableError as error:
                    raise UserError(f"{self.where}: {file} cannot be read ({error}); put it there again") from None
        return None


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
        yield Source(container, lay_out(container.files, container.folders, _where(path)))
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
        UserError: as ``open_source``, or truth.csv or groups.csv is malformed, or too many headers are unreadable.
    """
    with open_source(path) as source, quiet():
        source.truth()
        source.groups()
        faults: list[tuple[str, str]] = []
        for entry in source.layout.entries:
            try:
                with source.container.open(entry.key) as file:
                    check_header(file, max_pixels=max_pixels)
            except UnreadableError as error:
                faults.append((entry.name, reason(entry, error)))
                reject_unreadable(source, faults, max_unreadable)


def reason(entry: Entry, error: UnreadableError) -> str:
    """Why a file gives no sample; one that neither gives an image nor promises one is no fault."""
    return str(error) if entry.promises_image else NOT_AN_IMAGE


def reject_unreadable(source: Source, faults: Sequence[tuple[str, str]], max_unreadable: float) -> None:
    """Stop once more of the promised images are known to be unreadable than is allowed.

    Args:
        source: names what is promised.
        faults: name and reason of the files found without pixels so far.
        max_unreadable: the fraction allowed.

    Raises:
        UserError: the fraction is passed.
    """
    counted = [(name, words) for name, words in faults if words != NOT_AN_IMAGE]
    allowed = max_unreadable * source.promised + 1e-9  # a product such as 0.29 * 100 falls just short
    if len(counted) > allowed:
        some = ", ".join(f"{shown(name)} ({words})" for name, words in counted[:3])
        raise UserError(
            f"{source.where}: more than {max_unreadable:.0%} of its {source.promised} images cannot be read, {some} "
            "first; mend or remove them, or raise prepare.max_unreadable in params.yaml"
        )


def _where(path: Path) -> str:
    return f"source {shown(path)}"
