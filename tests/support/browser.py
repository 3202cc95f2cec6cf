"""A page as headless Chromium sees it: DOM, picture, complaints, and what it asks the network for."""

import io
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests run as root in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container's is small
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # a request is seen, and goes nowhere
    "--allow-file-access-from-files",  # a frame around the page may measure it
    "--enable-logging=stderr",
)
# A line of the network log; what the browser asks for on its own behalf has "not an origin" for its initiator.
REQUEST = re.compile(r'"initiator":"(?!not an origin).*"url":"((?:https?|wss?|ftp):[^"]*)"')


@dataclass(frozen=True)
class Seen:
    """What one visit showed."""

    dom: str
    console: list[str]
    requests: list[str]
    pixels: npt.NDArray[np.uint8]  # (H, W, 3)


def find_browser() -> str:
    """Path of an installed Chromium; skips where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed (Debian: apt-get install chromium)")
    return program


def visit(page: Path, folder: Path, *, width: int, height: int = 900, dark: bool = False) -> Seen:
    """Open a page; skips where there is no Chromium.

    Args:
        page: the file.
        folder: for the browser's own files.
        width: of the window; below 500 the page stands in a frame of that width, since no window is narrower.
        height: of the window.
        dark: whether the reader prefers a dark scheme.
    """
    program = find_browser()
    folder.mkdir(parents=True)
    log, shot = folder / "net.json", folder / "shot.png"
    command = [
        program,
        *OPTIONS,
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--window-size={max(width, 500)},{height}",
        f"--screenshot={shot}",
        "--dump-dom",
        (page if width >= 500 else framed(page, folder, width, height)).as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, timeout=600)
    told = done.stderr.decode(errors="replace")
    assert done.returncode == 0, told
    assert shot.exists(), told
    pixels = np.asarray(Image.open(io.BytesIO(shot.read_bytes())).convert("RGB"))
    return Seen(
        dom=done.stdout.decode(),
        console=[line for line in told.splitlines() if "CONSOLE" in line],
        requests=sorted(set(REQUEST.findall(log.read_text(errors="replace")))),
        pixels=pixels[:, :width],
    )


def framed(page: Path, folder: Path, width: int, height: int) -> Path:
    """A page that shows another in a frame, and says in its title how wide that one's content is."""
    file = folder / "frame.html"
    file.write_text(
        f"""<!doctype html><body style="margin:0">
        <iframe src="{page.as_uri()}" style="width:{width}px;height:{height}px;border:0;display:block"
        onload="document.title = 'content ' + this.contentDocument.documentElement.scrollWidth"></iframe>"""
    )
    return file
