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
from tests.support.reviews import Run, picture
from winnow.pipeline.files import ROOT
from winnow.review.session import Session
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


def test_decisions_on_files_that_changed_meanwhile_are_listed(browser: Browser, run: Run) -> None:
    first = Session(run.root, by="mia").queue("refine")["items"][:3]
    names = [one["name"] for one in first]
    with serving(run.root) as (address, process), visiting(browser, address) as visitor:
        visitor.wait_for_ahead(first[1]["id"], first[2]["id"])
        process.kill()
        process.wait()
        for one in first:
            assert visitor.wait_for_picture() == one["id"]
            visitor.page.keyboard.press("d")
        visitor.wait_for_text("#trouble", "3 decisions not saved yet")
        run.rewrite({names[0]: picture(5000), names[1]: picture(5001)})
        with serving(run.root, int(address.split(":")[2].split("/")[0])) as (again, _):
            visitor.page.goto(again)
            visitor.wait_for_text("#saved", "! 2 not taken")
            refused = visitor.page.locator("#refused li").all_text_contents()
    assert [line.split(":")[0] for line in refused] == names[:2]
    assert [row.sample for row in read_decision_rows(run.overrides)] == names[2:]


def test_what_waits_is_for_its_own_repository_alone(browser: Browser, run: Run, tmp_path: Path) -> None:
    other = run.copy(tmp_path / "other")
    with serving(run.root) as (address, process), visiting(browser, address) as visitor:
        port = int(address.split(":")[2].split("/")[0])
        process.kill()
        process.wait()
        visitor.page.keyboard.press("d")
        visitor.wait_for_text("#trouble", "1 decision not saved yet")
        with serving(other.root, port) as (another, _):
            visitor.page.goto(another)
            visitor.press("k", "u")
            visitor.wait_until_saved()
            assert [row.action for row in read_decision_rows(other.overrides)] == ["keep", "undo"]
        with serving(run.root, port) as (again, _):
            visitor.page.goto(again)
            visitor.wait_for_text("#progress-text", "1 of 120 decided")
            visitor.press("u")  # the decision was made in this tab
            visitor.wait_until_saved()
    assert [row.action for row in read_decision_rows(run.overrides)] == ["drop", "undo"]


def test_a_page_that_cannot_read_the_state_claims_nothing_saved(browser: Browser, run: Run) -> None:
    asks = """() => {
        const leave = new Event("beforeunload", { cancelable: true });
        dispatchEvent(leave);
        return leave.defaultPrevented;
    }"""
    with serving(run.root) as (address, _), visiting(browser, address) as visitor:
        assert visitor.page.evaluate(asks) is False
        before = run.overrides.read_text()
        run.overrides.write_text(f"{before}<<<<<<< HEAD\n")
        visitor.press("d")
        visitor.wait_for_text("#trouble", "1 decision not saved yet")
        visitor.page.reload()
        visitor.wait_for_text("#trouble", "a merge conflict")
        assert visitor.text("#saved") == ""
        assert visitor.page.evaluate(asks) is True  # before the tab is closed, the browser asks
        run.overrides.write_text(before)
        visitor.page.click("text=Try again")
        visitor.wait_until_saved()
        assert visitor.page.evaluate(asks) is False
    assert actions(run) == [("mia", "drop")]


def actions(run: Run) -> list[tuple[str, str]]:
    return [(row.by, row.action) for row in read_decision_rows(run.overrides)]


def test_a_decision_that_waited_yields_to_one_made_later(browser: Browser, run: Run) -> None:
    first, second = Session(run.root, by="").queue("refine")["items"][:2]
    with serving(run.root) as (address, _), visiting(browser, address) as visitor:
        visitor.wait_for_ahead(second["id"])
        visitor.page.context.set_offline(True)
        for key, one in zip("dd", (first, second), strict=True):
            assert visitor.wait_for_picture() == one["id"]
            visitor.page.keyboard.press(key)
        visitor.wait_for_text("#trouble", "2 decisions not saved yet")
        Session(run.root, by="tom").decide("refine", first["id"], "keep", None, "looked it up")
        visitor.page.context.set_offline(False)
        visitor.wait_for_text("#saved", "! 1 not taken")
        refused = f"{first['name']}: dropped. tom decided on {first['name']} since; this decision was not written"
        assert visitor.page.locator("#refused li").all_text_contents() == [refused]
    assert actions(run) == [("tom", "keep"), ("mia", "drop")]


def test_undoing_twice_before_an_answer_brings_a_colleague_s_decision_back(browser: Browser, run: Run) -> None:
    first = Session(run.root, by="").queue("refine")["items"][0]["id"]
    Session(run.root, by="tom").decide("refine", first, "keep", None, "tom knows")
    with serving(run.root) as (address, _), visiting(browser, f"{address}#task=refine&id={first}") as visitor:
        visitor.wait_for_picture()
        visitor.page.context.set_offline(True)
        for key in "duxu":
            assert visitor.wait_for_picture() == first
            visitor.page.keyboard.press(key)
            if key != "u":
                visitor.page.click("#row-0")  # the page went on to the next image
        visitor.page.context.set_offline(False)
        visitor.wait_until_saved()
        assert visitor.text("#refused") == ""
    rows = read_decision_rows(run.overrides)
    assert (rows[-1].by, rows[-1].action, rows[-1].note) == ("tom", "keep", "tom knows")


@pytest.mark.parametrize("is_answered", [True, False])
def test_the_undo_of_a_key_that_changed_nothing_keeps_the_earlier_decision(
    browser: Browser, run: Run, is_answered: bool
) -> None:
    session = Session(run.root, by="mia")
    first = session.queue("refine")["items"][0]["id"]
    session.decide("refine", first, "keep", None, "")
    with serving(run.root) as (address, _), visiting(browser, f"{address}#task=refine&id={first}") as visitor:
        assert visitor.wait_for_picture() == first
        visitor.page.context.set_offline(not is_answered)
        visitor.page.keyboard.press("k")
        if is_answered:
            visitor.wait_until_saved()
        visitor.page.keyboard.press("u")
        assert visitor.wait_for_picture() == first
        visitor.page.context.set_offline(False)
        visitor.wait_until_saved()
        assert "Decided: kept by mia" in visitor.text("#fate")
    assert actions(run) == [("mia", "keep")]


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
