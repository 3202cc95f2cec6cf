"""The pictures of the report: whose, at which size, and how many bytes each may take, so that the page stays small."""

from collections.abc import Collection, Iterable
from pathlib import Path

from winnow.dataset.streaming import damaged, each_image, lacking
from winnow.pictures.decode import UnreadableError
from winnow.pictures.embed import Picture, embed, png_uri
from winnow.pictures.thumbnail import SIDE
from winnow.report.chapters import Chapter
from winnow.verdicts.ledger import VerdictRow

SMALL_SIDE = 112  # pixels of the longer side of a picture of evidence


PAGE_BYTES = 9_000_000  # of all pictures of cards, evidence and leaks; with plane, sheets and text a page has 15 MB


BASE64 = 4 / 3  # characters a byte


WEIGHT = 4  # a picture at SIDE may take as many bytes as four pictures of evidence


LEAST = 256  # bytes: below it a picture shows nothing


SHEET_BYTES = 512_000  # a larger sheet is embedded as a WebP of at most so many


SHEET_SIDE = 8192  # pixels of the longer side of such a WebP


def limits(large: int, small: int) -> tuple[int, int]:
    """Bytes that a picture at SIDE and one at SMALL_SIDE may take, where there are so many of each on the page."""
    share = max(LEAST, int(PAGE_BYTES / BASE64 / max(1, WEIGHT * large + small)))
    return WEIGHT * share, share


def pictures_of(
    folder: Path, ids: Collection[str], side: int = SIDE, *, limit: int, if_stored: bool = False
) -> dict[str, Picture]:
    """Pictures by id.

    Args:
        folder: of the dataset.
        ids: of images.
        side: pixels of the longer side, at most.
        limit: bytes of each, at most.
        if_stored: pass over the images that no shard of the dataset holds.

    Raises:
        UserError: an image is missing, or it or a shard is damaged.
    """
    pictures = {one: _embedded(folder, one, content, side, limit) for one, content in each_image(folder, ids)}
    if not if_stored:
        lacking(folder, ids, pictures)
    return pictures


def both_sizes(
    folder: Path, cards: Collection[str], evidence: Collection[str], *, at_most: tuple[int, int]
) -> dict[str, tuple[Picture, Picture]]:
    """By id, the picture of a card and the picture of evidence; one stands for both where the other is not needed.

    Args:
        folder: of the dataset.
        cards: ids of images that have a card.
        evidence: ids of images that are evidence.
        at_most: bytes of either picture.

    Raises:
        UserError: an image is missing, or it or a shard is damaged.
    """
    pictures = {}
    wanted = dict.fromkeys([*cards, *evidence])
    for one, content in each_image(folder, wanted):
        large = _embedded(folder, one, content, SIDE, at_most[0]) if one in cards else None
        small = _embedded(folder, one, content, SMALL_SIDE, at_most[1]) if one in evidence else large
        assert small is not None
        pictures[one] = (large or small, small)
    lacking(folder, wanted, pictures)
    return pictures


def shown_verdicts(chapters: Iterable[Chapter]) -> list[VerdictRow]:
    """The verdicts that have a card."""
    return [verdict for chapter in chapters for group in chapter.groups for verdict in group.shown]


def sheet_uri(png: bytes) -> str:
    """Data URI of another stage's sheet: the PNG itself, or a WebP where that is large."""
    return png_uri(png) if len(png) <= SHEET_BYTES else embed(png, SHEET_SIDE, limit=SHEET_BYTES).uri


def _embedded(folder: Path, identifier: str, content: bytes, side: int, limit: int) -> Picture:
    try:
        return embed(content, side, limit=limit)
    except UnreadableError as reason:
        raise damaged(folder, identifier, reason) from None
