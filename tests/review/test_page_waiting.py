"""What the review page does with decisions that wait or that the server refuses: order, the list, and downloads."""

import csv
import io
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.driver import Visitor, rows_of, visiting
from tests.support.review_stub import Stub, make_items, serving
from winnow.pipeline.spreadsheet import disarmed

ODD = ["=1+1", "@SUM(1)", "+1", "-1.5", "-1x", "＝1", "'a", "\ttab", "\x7f", "plain", " =1", "1=1", "-1\n", "٣"]


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    return Stub(tmp_path / "overrides.csv", {"refine": make_items(40), "label_book": [], "test": []})


def test_refused_decisions_stay_until_they_are_dismissed(browser: Browser, stub: Stub) -> None:
    refused = [stub.tasks["refine"][place] for place in (0, 2)]
    stub.refuse = {one["id"]: (400, f"There is no image {one['id']}.") for one in refused}
    lines = [f"{one['name']}: dropped. There is no image {one['id']}." for one in refused]
    with ExitStack() as ended:
        with serving(stub) as address:
            visitor = ended.enter_context(visiting(browser, address))
            visitor.press("d", "d", "d")
            visitor.wait_for_text("#saved", "! 2 not taken")
        visitor.look_around()
        visitor.wait_for_text("#trouble", "The server does not answer.")
        ended.enter_context(serving(stub, int(address.split(":")[2].split("/")[0])))
        visitor.look_around()
        visitor.page.wait_for_function("() => document.querySelector('#trouble').textContent === ''")
        visitor.page.reload()
        visitor.wait_for_text("#saved", "! 2 not taken")
        assert visitor.page.locator("#refused li").all_text_contents() == lines
        with visitor.page.expect_download() as saving:
            visitor.page.click("#refused :text('Download')")
        rows = rows_of(Path(saving.value.path()).read_text(encoding="utf-8"))
        assert rows == [(one["name"], "drop", "") for one in refused]
        visitor.page.click("#refused :text('Dismiss')")
        assert visitor.text("#refused") == ""
        visitor.wait_until_saved()
        visitor.page.reload()
        visitor.wait_for_picture()
        assert visitor.text("#refused") == ""
    assert rows_of(stub.overrides.read_text()) == [(stub.tasks["refine"][1]["id"], "drop", "")]


def test_only_a_decision_that_waited_names_the_row_that_it_overwrites(browser: Browser, stub: Stub) -> None:
    stub.refuse[stub.tasks["refine"][1]["id"]] = (409, "overrides.csv has merge marks: resolve them.")
    with serving(stub) as address, visiting(browser, address) as visitor:
        visitor.press("k", "d")
        visitor.wait_for_text("#trouble", "1 decision not saved yet.")
        visitor.press("ArrowLeft", "x", "ArrowLeft", "k")
        stub.refuse.clear()
        visitor.wait_until_saved()
    times = [line.rsplit(",", 1)[1] for line in stub.overrides.read_text().splitlines()[1:]]
    assert [told.get("former") for told in stub.told] == [None, "none", times[1], times[2]]


def test_what_waits_behind_a_refused_decision_means_the_row_of_before(visitor: Visitor) -> None:
    script = """async () => {
        const { Made } = await import("/static/made.js");
        const made = new Made();
        made.load("test");
        const keep = { key: "k", id: "a", action: "keep", former: "t" };
        const drop = { key: "d", id: "a", action: "drop" };
        const undo = { key: "u", id: "a", action: "undo", taken: "none", takenKey: "d", restoredKey: "k" };
        made.answered(keep, keep.former, [drop, undo], true);
        const former = drop.former;
        made.answered(drop, drop.former, [undo], true);
        return [former, undo.taken, undo.restored, undo.former];
    }"""
    assert visitor.page.evaluate(script) == ["t", "none", "t", "t"]


def test_no_spreadsheet_runs_what_is_downloaded(visitor: Visitor) -> None:
    script = 'async (rows) => (await import("/static/rescue.js")).asRows(rows)'
    rows = [{"sample": one, "action": "relabel", "label": one, "note": one, "by": one, "time": "-x"} for one in ODD]
    found = list(csv.DictReader(io.StringIO(visitor.page.evaluate(script, rows), newline="")))
    texts = [{row[name] for name in ("sample", "label", "note", "by")} for row in found]
    assert texts == [{disarmed(one)} for one in ODD]
    assert {row["time"] for row in found} == {"-x"}


def test_a_download_restores_what_an_undo_restores(browser: Browser, stub: Stub) -> None:
    decision = {"action": "relabel", "label": "metal", "by": "tom", "time": "2026-01-01T00:00:00Z", "note": "seen"}
    first, second = stub.tasks["refine"][:2]
    for one in (first, second):
        one.update(decision=decision, hash=one["id"] * 2)
    with serving(stub) as address, visiting(browser, f"{address}#task=refine&id={first['id']}") as visitor:
        visitor.press("d")
        visitor.wait_until_saved()
        stub.refuse = {one["id"]: (409, "No room.") for one in (first, second)}
        visitor.page.click("#row-0")
        visitor.press("u")
        visitor.page.click("#row-1")
        visitor.press("d")
        visitor.page.click("#row-1")
        visitor.press("u")  # neither is to be sent
        visitor.wait_for_text("#trouble", "3 decisions not saved yet.")
        with visitor.page.expect_download() as saving:
            visitor.page.click("text=Download them")
        (row,) = csv.DictReader(io.StringIO(Path(saving.value.path()).read_text(encoding="utf-8")))
        assert row.pop("time") > decision["time"]
        said = {name: decision[name] for name in ("action", "label", "by", "note")}
        assert row == {"sample": first["name"], "hash": first["hash"], **said}
        stub.refuse.clear()
        visitor.wait_until_saved()
