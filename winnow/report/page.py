"""The report as one page: figures and pictures in, HTML out, nothing fetched when it is read.

Names and labels are text from anywhere. The template escapes every one of them, ``visible`` shows what would be
invisible or would turn the line around, and the page's own policy forbids scripts and any request.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from winnow.pictures.embed import Picture
from winnow.report.chapters import Chapter
from winnow.report.figures import MINUS, ClassCount, Outcome, Part, gain_figure, interval_figure

TEMPLATE = "page.html.j2"


TINY = 96  # pixels of the longer side: what has no more is drawn smaller than a photograph


CARDS_OPEN = 12  # of a group; the others begin folded


FILES_SHOWN = 25  # rejected files and leaks, each


BELONGING = {"exact": "the same pixels", "near": "nearly the same picture", "group": "an image of the same group"}


RESIZED = {"letterbox": "letterboxed", "centre": "the centre cropped", "stretch": "stretched"}


CLEANSINGS = {  # stage: its heading
    "cleanse_influence": "first verdict",
    "cleanse_neighbours": "second cleansing",
    "cleanse_final": "last cleansing",
}
COMPETITION = "competition"  # `model` of data/model.json where the fixed model judges


CLASSES_OPEN = 40  # a longer table of classes begins folded


@dataclass(frozen=True)
class Known:
    """An image that a card may show."""

    name: str
    label: str
    split: str
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
    colours: Mapping[str, str]  # by class
    dots: Mapping[str, str]  # by colour, an SVG path with a line of no length at every point that is no picture
    pictures: Sequence[PlanePicture]
    marks: Sequence[PlaneMark]
    images: int
    dropped: int
    relabelled: int


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
    chapters: Sequence[Chapter]
    known: Mapping[str, Known]  # by id
    ledger_files: Mapping[tuple[str, str], str]  # where each chapter's whole table is
    plane: Plane
    sheets: Sequence[Sheet]
    gates: Mapping[str, Mapping[str, Any]]  # by round
    rejected: Sequence[Mapping[str, str]]  # name, reason
    leaks: Sequence[Leak]
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
    arm = refined_arm(report)
    page = environment.get_template(TEMPLATE).render(
        report=report,
        last_arm=arm,
        verdict=headline(report.comparison[arm]),
        figure=interval_figure(report.comparison, arm),
        gains=gain_figure(report.parts),
        cards_open=CARDS_OPEN,
        files_shown=FILES_SHOWN,
        classes_open=CLASSES_OPEN,
        widest=max((max(row.before, row.source + row.copies) for row in report.balance), default=0) or 1,
    )
    return page.encode("utf-8", "backslashreplace")


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


def visible(text: str) -> str:
    """The text with control characters, and those that turn or hide text, written out; nothing else changes."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def percent(share: float, *, sign: bool = False, digits: int = 1) -> str:
    """A share as per cent."""
    return f"{100 * share:{'+' if sign else ''}.{digits}f} %".replace("-", MINUS)


def figure(value: float, *, sign: bool = False) -> str:
    """Three decimals."""
    return f"{value:{'+' if sign else ''}.3f}".replace("-", MINUS)


def support(value: float | None) -> str:
    """Three significant digits; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.3g}".replace("-", MINUS)


def model_text(model: Mapping[str, Any]) -> str:
    """The model that judges, what it starts from and what it sees, in words."""
    pixels, weights = model["pixels"], model.get("weights")
    parts = [
        str(model["model"]),
        f"weights {weights}" if weights and weights != "none" else "trained from scratch",
        *(["frozen"] if model["frozen"] else []),
        f"{pixels} x {pixels} pixels, {RESIZED.get(model['resize'], model['resize'])}",
    ]
    return ", ".join(parts)


def judge_text(model: Mapping[str, Any]) -> str:
    """What every arm trains, within a sentence."""
    if model["model"] == COMPETITION:
        return "the competition's fixed model"
    return f"a linear head on {model['model']}" if model["frozen"] else f"{model['model']}, fine-tuned,"


def words(name: str) -> str:
    """A stage's or a file's name as words; of a cleansing, whose name is older than what it does, its heading."""
    return CLEANSINGS.get(name, name.replace("_", " "))


def is_large(picture: Picture) -> bool:
    """Whether it is drawn as a photograph."""
    return max(picture.width, picture.height) > TINY


def card_id(identifier: str, chapter: Chapter) -> str:
    """The id of a card: an image may have one in several chapters. HTML ids hold no blanks."""
    return re.sub(r"[^\w-]", "-", f"{chapter.round_name}-{chapter.stage}-{identifier}")
