"""The review of a finished run in headless Chromium, for pictures and measurements; the run itself is only read.

Needs Chromium, and Playwright of requirements-dev.in.
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = [
    "--no-sandbox",  # in a container, as root
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READ = ("data", "params.yaml")  # of a run, by the review
SERVE = (
    "import sys; from pathlib import Path; from winnow.review.applying import Applying; "
    "from winnow.review.server import serve; from winnow.review.session import Session; root = Path(sys.argv[1]); "
    "serve(Session(root, by='mia'), Applying(root), port=0, browser=False)"
)
SHOWN = "() => document.querySelector('#work').dataset.id === document.querySelector('#stage').dataset.shown"


@contextlib.contextmanager
def reviewing(run: Path) -> Iterator[tuple[str, Path]]:
    """The address of a review of a run, and the folder that its decisions go to, which is removed at the end.

    Raises:
        UserError: the run is not finished.
    """
    missing = [name for name in READ if not (run / name).exists()]
    if missing:
        raise UserError(f"{run}: a finished run has {missing[0]}, this folder has not; run the pipeline there")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in READ:
            (folder / part).symlink_to((run / part).resolve())
        header = "sample,action,label,by,note\n"
        (folder / "overrides.csv").write_text(header, encoding="utf-8")
        (folder / "checked.csv").write_text(header, encoding="utf-8")
        command = [sys.executable, "-c", SERVE, str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                words = server.stdout.readline().split()
                if not words:
                    raise UserError(f"{run}: the review did not start; its message stands above")
                yield words[-1], folder
            finally:
                server.kill()


@contextlib.contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """The browser.

    Args:
        options: beside OPTIONS.

    Raises:
        UserError: none is installed.
    """
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        raise UserError(f"no browser: none of {', '.join(NAMES)} is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*OPTIONS, *options])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser: Browser, address: str, *, width: int, height: int, **more: Any) -> Iterator[Page]:
    """The page in a window of a size in CSS pixels, its first picture shown; more: what a Playwright context takes."""
    context = browser.new_context(viewport={"width": width, "height": height}, **more)
    context.set_default_timeout(120_000)
    try:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#stage[data-shown]")
        yield page
    finally:
        context.close()
