"""The report as one page: figures and pictures in, HTML out, nothing fetched when it is read.

Names and labels are text from anywhere. The template escapes every one of them, ``visible`` shows what would be
invisible or would turn the line around. The page's own policy allows one script, by its digest, and forbids every other
one and any request. Without the script all is there to be read.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from winnow.pictures.embed import Picture
from winnow.report.chapters import Chapter
from winnow.report.decisions import anchors, page_data, read_script
from winnow.report.figures import ClassCount, Outcome, Part, gain_figure, interval_figure
from winnow.report.text import figure, judge_text, model_text, percent, support, visible, words

TEMPLATE = "page.html.j2"


TINY = 96  # pixels of the longer side: what has no more is drawn smaller than a photograph


CARDS_OPEN = 12  # of a group; the others begin folded


FILES_SHOWN = 25  # rejected files and leaks, each


BELONGING = {"exact": "the same pixels", "near": "nearly the same picture", "group": "an image of the same group"}


CLASSES_SHOWN = 40  # of more classes, those of which the least is left; the others are counted


@dataclass(frozen=True)
class Known:
    """An image that a card may show."""

    name: str
    label: str
    split: str
    given: str  # label as delivered
    pixel_hash: str
    picture: Picture  # of its card
    small: Picture  # where it is evidence


@dataclass(frozen=True)
class Leak:
    """An image that prepare left out, since it belongs to one of another split."""

    name: str
    label: str
    split: str  # that it was delivered in
    kept_in: str  # split of the other image
    kind: str  # how they belong together: exact, near or group
    kept_name: str | None  # of the other image, where it may be told
    pictures: tuple[Picture | None, Picture | None]  # of both, where they are stored


@dataclass(frozen=True)
class Leaks:
    """The leaks that are shown, and what is said of all of them."""

    shown: Sequence[Leak]  # at most FILES_SHOWN
    total: int
    kinds: Sequence[str]  # each once


@dataclass(frozen=True)
class Rejected:
    """The rejected files that are shown, and how many there are."""

    shown: Sequence[Mapping[str, str]]  # name, reason; at most FILES_SHOWN
    total: int


@dataclass(frozen=True)
class PlanePicture:
    """An image shown on the plane."""

    left: int
    top: int
    width: int
    height: int
    frame: int  # around it
    colour: str  # of the frame
    uri: str  # data URI


@dataclass(frozen=True)
class PlaneMark:
    """A point of the plane that was dropped or relabelled, and the card that says why."""

    left: int
    top: int
    label_before: str
    label_after: str | None  # None when dropped
    colour: str | None  # of the new label
    card: str | None  # id of the card; None where no card is shown
    reason: str


@dataclass(frozen=True)
class Plane:
    """The t-SNE plane of one round; lengths in units of its own."""

    round_name: str
    width: int
    height: int
    legend: Mapping[str, str]  # colour by class, of the classes with the most points where there are many
    classes: int
    dots: Mapping[str, str]  # by colour, an SVG path with a line of no length at every point that is no picture
    pictures: Sequence[PlanePicture]
    marks: Sequence[PlaneMark]
    images: int
    dropped: int
    relabelled: int
    hidden_dots: int  # points that are no picture and not drawn, since there are very many
    hidden_marks: int  # likewise, of those without a card


@dataclass(frozen=True)
class Sheet:
    """A picture made by another stage."""

    round_name: str
    title: str
    picture: str  # data URI


@dataclass(frozen=True)
class Report:
    """All that the page says."""

    comparison: Mapping[str, Any]
    controls: Collection[str]  # arms that only tell what a part is worth
    parts: Sequence[Part]  # of the method, of which both arms were judged
    refinement: Mapping[str, Any]
    model: Mapping[str, Any]  # that judges: model, pixels, resize, frozen, weights, why
    outcome: Outcome
    balance: Sequence[ClassCount]
    classes_file: str  # where the whole table of classes is
    chapters: Sequence[Chapter]
    known: Mapping[str, Known]  # by id
    source: str  # key of the source, under which a browser keeps decisions
    ledger_files: Mapping[tuple[str, str], str]  # where each chapter's whole table is
    plane: Plane
    sheets: Sequence[Sheet]
    gates: Mapping[str, Mapping[str, Any]]  # by round
    rejected: Rejected
    leaks: Leaks
    prepared: str  # where the whole tables of the last two are
    evidence_shown: int  # pictures of evidence a card, at most


def render(report: Report) -> bytes:
    """The page as UTF-8; the same report gives the same bytes."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "visible": visible,
        "percent": percent,
        "figure": figure,
        "support": support,
        "words": words,
        "card": card_id,
        "is_large": is_large,
        "any": any,
        "model": model_text,
        "judge": judge_text,
        "belonging": lambda kind: BELONGING.get(kind, kind),
    }
    arm, classes = refined_arm(report), [row.label for row in report.balance]
    page = environment.get_template(TEMPLATE).render(
        report=report,
        last_arm=arm,
        verdict=headline(report.comparison[arm]),
        figure=interval_figure(report.comparison, arm),
        gains=gain_figure(report.parts),
        cards_open=CARDS_OPEN,
        files_shown=FILES_SHOWN,
        balance=_least_left(report.balance),
        filtered=_filtered_classes(report.chapters, classes),
        script=read_script(),
        data=page_data(report.chapters, report.known, classes=classes, source=report.source),
        anchors=anchors(report.chapters),
        widest=max((max(row.before, row.source + row.copies) for row in report.balance), default=0) or 1,
    )
    return page.encode("utf-8", "backslashreplace")


def _least_left(balance: Sequence[ClassCount]) -> Sequence[ClassCount]:
    """The classes in their order; of more than ``CLASSES_SHOWN``, those that lost the largest share of their images.

    Of equal shares the smaller class counts as worse.
    """
    if len(balance) <= CLASSES_SHOWN:
        return balance
    ranked = sorted(range(len(balance)), key=lambda row: (_share_left(balance[row]), balance[row].before, row))
    return [balance[row] for row in sorted(ranked[:CLASSES_SHOWN])]


def _share_left(row: ClassCount) -> float:
    return row.source / row.before if row.before else 2.0  # after those that kept all


def _filtered_classes(chapters: Sequence[Chapter], classes: Sequence[str]) -> list[tuple[int, str]]:
    """The classes by which the cards can be filtered, with their numbers; of many, those that a card names."""
    if len(classes) <= CLASSES_SHOWN:
        return list(enumerate(classes))
    rows = [row for chapter in chapters for group in chapter.groups for row in group.shown]
    named = {label for row in rows for label in (row.label_before, row.label_after)}
    return [(number, label) for number, label in enumerate(classes) if label in named]


def refined_arm(report: Report) -> str:
    """The arm that the page is about: the last that is no control."""
    arms = list(report.comparison)
    return next((arm for arm in reversed(arms) if arm not in report.controls), arms[-1])


def headline(row: Mapping[str, Any]) -> str:
    """What may be said of an arm against the first: better, worse, unclear, or nothing without a second arm."""
    reduction = row.get("error_reduction")
    if reduction is None:
        return "nothing"
    if reduction["low"] > 0:
        return "better"
    return "worse" if reduction["high"] < 0 else "unclear"


def is_large(picture: Picture) -> bool:
    """Whether it is drawn as a photograph."""
    return max(picture.width, picture.height) > TINY


def card_id(identifier: str, chapter: Chapter) -> str:
    """The id of a card: an image may have one in several chapters. HTML ids hold no blanks."""
    return re.sub(r"[^\w-]", "-", f"{chapter.round_name}-{chapter.stage}-{identifier}")
