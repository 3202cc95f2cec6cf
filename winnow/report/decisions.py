"""What the page's script works with: the script, its digest for the page's policy, and the exact texts of the cards.

The page shows names and labels as people can read them; a row of overrides.csv must hold them as they are.
"""

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from winnow.report.chapters import Chapter
from winnow.report.text import words
from winnow.verdicts.decision_rows import HEADER

SCRIPT = "script.js"  # beside this module


@dataclass(frozen=True)
class Script:
    """The script of a page."""

    text: str
    digest: str  # SHA-256 in base64, as a Content-Security-Policy names it


class Decidable(Protocol):
    """What a decision on an image needs to know of it."""

    @property
    def name(self) -> str:
        """Its path inside the source."""

    @property
    def given(self) -> str:
        """Its class as delivered."""

    @property
    def pixel_hash(self) -> str:
        """Of the picture that is shown."""


def read_script() -> Script:
    """The script, which is the same on every page."""
    text = (Path(__file__).parent / SCRIPT).read_text(encoding="utf-8")
    return Script(text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())


def source_key(ids: Iterable[str]) -> str:
    """16 hex digits of the images of a source: what a browser keeps decisions under, whichever run the page is of."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:16]


def page_data(
    chapters: Sequence[Chapter], known: Mapping[str, Decidable], *, classes: Sequence[str], source: str
) -> dict[str, Any]:
    """The cards for the script, in the order of the page, as JSON holds them.

    Args:
        chapters: whose verdicts have cards.
        known: by id, at least of every image with a card.
        classes: names.
        source: key of the source.
    """
    shown = [
        (number, row) for number, chapter in enumerate(chapters) for group in chapter.groups for row in group.shown
    ]
    places = {identifier: place for place, identifier in enumerate(dict.fromkeys(row.id for _, row in shown))}
    return {
        "source": source,
        "classes": list(classes),
        "columns": list(HEADER),
        "stages": [f"{chapter.round_name}, {words(chapter.stage)}" for chapter in chapters],
        "images": [[one, known[one].name, known[one].given, known[one].pixel_hash] for one in places],
        "cards": [
            [places[row.id], number, row.action, row.label_before, row.label_after, _finite(row.support)]
            for number, row in shown
        ],
    }


def anchors(chapters: Iterable[Chapter]) -> dict[str, tuple[str, str]]:
    """By id of an image, round and stage of its last card, to which a link to the image leads: what holds of it now."""
    return {
        row.id: (chapter.round_name, chapter.stage)
        for chapter in chapters
        for group in chapter.groups
        for row in group.shown
    }


def _finite(support: float | None) -> float | None:
    return None if support is None or math.isnan(support) else support
