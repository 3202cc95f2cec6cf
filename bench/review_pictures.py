"""Take the pictures of the review page that the documents show.

    python -m bench.review_pictures RUN [OUT]

RUN is the folder of a finished run of the embedded source, since other people's images are not published; OUT is
docs/pictures if left out. RUN is only read: the decisions that the pictures show are made in a temporary folder.
"""

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageColor
from playwright.sync_api import Page

from bench.review_page import SHOWN, chromium, opened, reviewing
from winnow.pipeline.files import ROOT, write_bytes
from winnow.pipeline.messages import UserError

MOST_BYTES = 60_000  # of a picture
GREYS = (128, 64, 48, 32, 24, 16, 12, 8)  # of the palette; the first number that makes the file small enough
NAMES = ("paper", "sheet", "ink", "soft", "line", "tint", "edge", "accent", "drop", "relabel", "bar", "chosen", "alarm")
SHADE = 0.55  # of the light that an open window leaves to what is behind it, as in review.css
COLOUR = "name => getComputedStyle(document.documentElement).getPropertyValue('--' + name)"


@dataclass(frozen=True)
class Shot:
    """A picture: its name, the window, and what is done before it is taken."""

    name: str
    width: int
    height: int
    scheme: str  # light or dark
    act: Callable[[Page], None]


def main(run: Path, out: Path) -> None:
    """Write every picture."""
    with reviewing(run) as (address, _), chromium() as browser:
        for shot in SHOTS:
            options = {"color_scheme": shot.scheme, "reduced_motion": "reduce"}
            with opened(browser, address, width=shot.width, height=shot.height, **options) as page:
                shot.act(page)
                page.wait_for_load_state("networkidle")
                content = small_png(page.screenshot(), [page.evaluate(COLOUR, name) for name in NAMES])
            write_bytes(out / f"review-{shot.name}.png", content)
            print(f"review-{shot.name}.png: {len(content):,} bytes")


def small_png(screenshot: bytes, colours: Sequence[str]) -> bytes:
    """The screenshot in the page's own colours and as many greys as the limit of bytes allows.

    Args:
        screenshot: PNG; its images are grey, as those of the embedded source.
        colours: of the page, as #rrggbb.

    Raises:
        UserError: it is too large with the fewest greys.
    """
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    own = [ImageColor.getrgb(colour) for colour in colours]
    shaded = [tuple(round(SHADE * value) for value in colour) for colour in own]  # behind an open window
    for greys in GREYS:
        ramp = [(round(255 * step / (greys - 1)),) * 3 for step in range(greys)]
        palette = Image.new("P", (1, 1))
        palette.putpalette([value for colour in (*own, *shaded, *ramp) for value in colour])
        buffer = io.BytesIO()
        image.quantize(palette=palette, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
    raise UserError(f"a picture has {buffer.tell():,} bytes with {greys} greys, allowed are {MOST_BYTES:,}")


def press(page: Page, *keys: str) -> None:
    """Press keys, each once the picture is there."""
    for key in keys:
        page.wait_for_function(SHOWN)
        page.keyboard.press(key)
    page.wait_for_function(SHOWN)
    page.wait_for_function("() => document.querySelector('#saved').textContent.includes('All saved')")


def decide(page: Page) -> None:
    """Some decisions, so that the queue and the estimate have something to show."""
    page.select_option("#filter", "random sample")
    press(page, *"kkkkkkdkkkkk")
    page.select_option("#filter", "")
    press(page, "d", "1", "k", "s")


def relabel(page: Page) -> None:
    """The window that asks for a class."""
    press(page, "s", "r")
    page.keyboard.type("i")


def check_book(page: Page) -> None:
    """The label book."""
    page.click("[data-task=label_book]")
    page.wait_for_function("() => document.querySelector('#question').textContent.includes('right')")
    press(page, "k", "k")


def shown(page: Page) -> None:
    """The page as it opens."""
    press(page, "s", "s")


SHOTS = (
    Shot("refine", 1280, 800, "light", decide),
    Shot("relabel", 1024, 768, "dark", relabel),
    Shot("label-book", 1024, 768, "light", check_book),
    Shot("phone", 390, 844, "light", shown),
)


def run_command(arguments: Sequence[str]) -> None:
    """The command line."""
    if not 1 <= len(arguments) <= 2:
        raise SystemExit(__doc__)
    main(Path(arguments[0]), Path(arguments[1]) if len(arguments) > 1 else ROOT / "docs/pictures")


if __name__ == "__main__":
    run_command(sys.argv[1:])
