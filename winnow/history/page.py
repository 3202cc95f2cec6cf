"""A page of captioned pictures as one HTML file that needs nothing beside itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from winnow.pictures.embed import Picture as Shown


@dataclass(frozen=True)
class Picture:
    """One image and what is written below it."""

    title: str
    lines: Sequence[str]
    shown: Shown | None  # None where no picture is stored


@dataclass(frozen=True)
class Section:
    """A heading, and below it text, pictures and a table, each where there is any."""

    heading: str
    lines: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    table: Sequence[Sequence[object]] = ()  # the first row is the header


def gallery(title: str, lines: Sequence[str], sections: Sequence[Section]) -> bytes:
    """The page in UTF-8; whatever the texts hold is shown, and none of it is markup.

    Args:
        title: of the page.
        lines: a paragraph each, below the title.
        sections: in order.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.j2")
    return template.render(title=title, lines=lines, sections=sections).encode("utf-8", "backslashreplace")
