"""The page against the server itself: rows of overrides.csv and checked.csv, and a server that is killed."""

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.support.driver import rows_of, visiting
from tests.support.reviews import Run
from winnow.pipeline.files import ROOT
from winnow.verdicts.decision_rows import read_decision_rows

SERVE = """
import secrets, sys
from pathlib import Path
from winnow.review.applying import Applying
from winnow.review.server import serve
from winnow.review.session import Session
if sys.argv[3]:
    secrets.token_urlsafe = lambda _: sys.argv[3]
root = Path(sys.argv[1])
serve(Session(root, by="mia"), Applying(root), port=int(sys.argv[2]), browser=False)
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run", train=110, val=10)


@contextmanager
def serving(root: Path, port: int = 0, token: str = "") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address that the server prints, and its process, which is killed at the end."""
    command = [sys.executable, "-c", SERVE, str(root), str(port), token]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1], process
        finally:
            process.kill()


def test_decisions_by_keys_are_rows_of_overrides_csv_in_their_order(browser: Browser, run: Run) -> None:
    keys = "kd" * 19 + "du"
    with serving(run.root) as (address, _), visiting(browser, address) as visitor:
        shown = []
        for key in keys:
            shown.append(visitor.wait_for_picture())
            visitor.press(key)
        visitor.wait_until_saved()
        place = visitor.wait_for_picture()
        assert visitor.text("#progress-text") == "38 of 120 decided"
        visitor.page.reload()
        assert visitor.wait_for_picture() == place
        assert visitor.text("#progress-text") == "38 of 120 decided"
        assert visitor.complaints == []
    actions = ["keep" if key == "k" else "drop" for key in keys[:-1]] + ["undo"]
    names = {identifier: name for name, identifier in run.ids.items()}
    shown[-1] = shown[-2]  # undo is about the decision before
    rows = read_decision_rows(run.overrides)
    assert [row.action for row in rows] == actions
    assert [row.sample for row in rows] in ([names[one] for one in shown], shown)
    assert len(set(shown[:-1])) == 39
    assert {row.by for row in rows} == {"mia"}


def test_a_killed_server_loses_nothing_and_its_successor_takes_what_waited(browser: Browser, run: Run) -> None:
    with serving(run.root, token="same") as (address, process), visiting(browser, address) as visitor:
        visitor.press("k", "d")
        visitor.wait_until_saved()
        shown = visitor.wait_for_picture()
        process.kill()
        process.wait()
        assert [row.action for row in read_decision_rows(run.overrides)] == ["keep", "drop"]
        visitor.page.keyboard.press("d")
        visitor.wait_for_text("#trouble", "The server does not answer.")
        visitor.wait_for_text("#trouble", "1 decision not saved yet")
        port = int(address.split(":")[2].split("/")[0])
        with serving(run.root, port, "same"):
            visitor.wait_until_saved()
            visitor.page.reload()
            visitor.wait_for_picture()
            assert visitor.text("#progress-text") == "3 of 120 decided"
    assert [row.action for row in read_decision_rows(run.overrides)] == ["keep", "drop", "drop"]
    names = {identifier: name for name, identifier in run.ids.items()}
    assert rows_of(run.overrides.read_text())[-1][0] == names[shown]


def test_relabel_and_the_label_book_reach_their_files(browser: Browser, run: Run) -> None:
    with serving(run.root) as (address, _), visiting(browser, address) as visitor:
        visitor.wait_for_picture()
        given = visitor.text("#fate .strong")
        other = next(one for one in visitor.page.locator("#labels .word").all_text_contents() if one != given)
        visitor.page.click(f"#labels button:has-text('{other}')")
        visitor.wait_until_saved()
        visitor.page.click("[data-task=label_book]")
        visitor.wait_for_text("#question", "Is the label right?")
        visitor.press("k")
        visitor.wait_until_saved()
        visitor.page.click("[data-task=test]")
        visitor.wait_for_text("#where", "of 6")
        visitor.press("d")
        visitor.wait_until_saved()
        assert visitor.complaints == []
    assert [(row.action, row.label) for row in read_decision_rows(run.overrides)] == [("relabel", other)]
    checked = read_decision_rows(run.root / "checked.csv")
    assert [row.action for row in checked] == ["keep", "drop"]


def test_the_address_is_followed_from_a_web_terminal_and_not_framed(browser: Browser, run: Run) -> None:
    with serving(run.root) as (address, _), browser.new_context() as context:
        terminal = f'<a href="{address}">{address}</a><iframe src="{address}"></iframe>'
        context.route("http://terminal.example/", lambda route: route.fulfill(content_type="text/html", body=terminal))
        tab = context.new_page()
        tab.goto("http://terminal.example/")
        assert [frame.url for frame in tab.frames if frame.parent_frame] == ["chrome-error://chromewebdata/"]
        tab.click("a")
        tab.wait_for_selector("#stage[data-shown]")
        tab.reload()  # for the browser still of the other site
        tab.wait_for_selector("#stage[data-shown]")


def test_of_a_photograph_with_several_pictures_the_first_is_shown_upright(browser: Browser, run: Run) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # stored lying on its side
    sink = io.BytesIO()
    more = [Image.new("RGB", (20, 20), "blue")]
    Image.new("RGB", (60, 40), "red").save(sink, "MPO", save_all=True, append_images=more, exif=turned.tobytes())
    run.rewrite({"train/i/0.png": sink.getvalue()})
    identifier = run.ids["train/i/0.png"]
    script = """async picture => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d");
        canvas.drawImage(picture, 0, 0, 1, 1);
        const [red, , blue] = canvas.getImageData(0, 0, 1, 1).data;
        const kind = (await fetch(picture.src)).headers.get("content-type");
        return [kind, picture.naturalWidth, picture.naturalHeight, red > 200, blue < 50];
    }"""
    with serving(run.root) as (address, _), visiting(browser, f"{address}#task=refine&id={identifier}") as visitor:
        assert visitor.wait_for_picture() == identifier
        assert visitor.page.eval_on_selector("#now img", script) == ["image/jpeg", 40, 60, True, True]
        assert visitor.complaints == []
