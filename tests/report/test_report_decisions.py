"""The report in a browser: filters, order, links, and decisions that are kept, downloaded and taken back."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.support.driver import PATIENCE
from tests.support.runs import Row, Run, verdict
from winnow.pipeline.messages import natural_order
from winnow.pipeline.spreadsheet import disarmed, spellings

NASTY = "<img src=x onerror=document.title='hit'>\n\u202e, \"long\""
CLASSES = ["=1+1", "-1", NASTY]
FIRST, LAST = ("r1", "cleanse_influence"), ("r1", "cleanse_final")
NO_STORE = "Object.defineProperty(window, 'localStorage', {get() {throw new DOMException('no', 'SecurityError')}})"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Fourteen dropped, two relabelled; one of the dropped has a second card, and two are folded."""
    run = Run(tmp_path_factory.mktemp("run"), classes=CLASSES, file_name=f"{{number}} {NASTY}.png")
    rows = run.suspects
    supports = [0.5, None, *(0.01 * number for number in range(12))]
    run.verdicts[FIRST] = [
        verdict(row, "drop", support=support, reason=f"number {number};")
        for number, (row, support) in enumerate(zip(rows, supports, strict=False))
    ]
    relabelled = [verdict(row, "relabel", label_after="-1", support=0.2, reason="alike") for row in rows[17:19]]
    run.verdicts[LAST] = [*relabelled, verdict(rows[3], "drop", support=0.9, reason="again")]
    run.write().report()
    return run


@contextmanager
def visiting(browser: Browser, run: Run, *, script: str = "", **options: Any) -> Iterator[Page]:
    """A page in a profile of its own; it asked for nothing and complained of nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    context.set_default_timeout(PATIENCE)
    if script:
        context.add_init_script(script)
    page, heard = context.new_page(), list[str]()
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url) if request.url.startswith("http") else None)
    page.on("dialog", lambda dialog: dialog.accept())
    try:
        page.goto(address(run))
        yield page
        assert heard == []
        assert page.title() == "Winnow: what was done to the data, and what it was worth"
    finally:
        context.close()


def address(run: Run) -> str:
    return run.path("report/index.html").absolute().as_uri()


def shown(page: Page) -> list[str]:
    """The reasons of the cards that are to be seen, in their order."""
    script = (
        "cards => cards.filter(card => card.checkVisibility()).map(card => card.querySelector('.reason').textContent)"
    )
    return list(page.locator(".card").evaluate_all(script))


def card_of(page: Page, row: Row) -> Locator:
    return page.locator(".card", has=page.locator(f"[id='image-{row['id']}']"))


def relabel(card: Locator, label: str) -> None:
    select = card.get_by_label("Relabel")
    select.focus()
    select.select_option(label=label)


def download(page: Page, by: str = "mia") -> list[dict[str, str]]:
    page.locator("#by").fill(by)
    with page.expect_download() as begun:
        page.locator("#download").click()
    assert begun.value.suggested_filename == "overrides.csv"
    text = Path(begun.value.path()).read_bytes().decode("utf-8")
    assert text.startswith("sample,action,label,by,note,time,hash\n")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_filters_show_what_fits_and_the_order_is_as_asked(browser: Browser, run: Run) -> None:
    told = {row["id"]: row for row in run.suspects}
    cards = [(stage, one) for stage in (FIRST, LAST) for one in run.verdicts[stage]]

    def expected(**wanted: Any) -> set[str]:
        return {
            one["reason"] for stage, one in cards if all({"stage": stage, **one}[k] == v for k, v in wanted.items())
        }

    with visiting(browser, run) as page:
        page.locator("#action").select_option("relabel")
        assert shown(page) == ["alike", "alike"]
        page.locator("#clear").click()
        page.locator("#stage").select_option(label="r1, last cleansing")
        assert sorted(shown(page)) == ["again", "alike", "alike"]
        page.locator("#class").select_option(label="-1")
        assert set(shown(page)) == {
            one["reason"] for stage, one in cards if stage == LAST and "-1" in (one["label_before"], one["label_after"])
        }
        page.locator("#stage").select_option("")
        page.locator("#action").select_option("drop")
        assert set(shown(page)) == expected(action="drop", label_before="-1")
        page.locator("#clear").click()
        page.locator("#text").fill("NUMBER 1")
        assert sorted(shown(page)) == sorted(f"number {n};" for n in (1, 10, 11, 12, 13))
        page.locator("#text").fill("17 <IMG")
        assert shown(page) == ["alike"]
        page.locator("#text").fill("")
        page.locator("#order").select_option("support")
        supports = sorted((one["support"] is None, one["support"] or 0.0) for _, one in cards)
        by_reason = {one["reason"]: one["support"] for _, one in cards}
        assert [(by_reason[one] is None, by_reason[one] or 0.0) for one in shown(page)] == supports
        page.locator("#order").select_option("name")
        by_name = sorted(cards, key=lambda one: natural_order(told[one[1]["id"]]["name"]))
        assert shown(page) == [one["reason"] for _, one in by_name]
        page.locator("#order").select_option("class")
        by_class = sorted(cards, key=lambda one: CLASSES.index(one[1]["label_before"]))
        classes = {one["reason"]: one["label_before"] for _, one in cards if one["reason"] != "alike"}
        assert [classes[one] for one in shown(page) if one in classes] == [
            one["label_before"] for _, one in by_class if one["reason"] in classes
        ]
        assert page.locator("#count").text_content() == "17 of 17 pictures"
        page.locator("#clear").click()
        assert len(shown(page)) == 15  # two are folded again


def test_a_link_leads_to_the_last_card_of_an_image_wherever_it_is(browser: Browser, run: Run) -> None:
    twice, folded = run.suspects[3], run.suspects[1]
    with visiting(browser, run, permissions=["clipboard-read", "clipboard-write"]) as page:
        assert not card_of(page, folded).is_visible()
        page.goto(f"{address(run)}#image-{folded['id']}")
        page.wait_for_function("() => document.querySelector(':target')?.checkVisibility()")
        assert card_of(page, folded).is_visible()
        assert card_of(page, twice).locator(".reason").text_content() == "again"
        page.locator("#action").select_option("relabel")
        page.goto(f"{address(run)}#image-{twice['id']}")
        card_of(page, twice).wait_for(state="visible")  # the filter that hid it is gone
        assert page.locator("#action").input_value() == ""
        card_of(page, twice).locator(".link").click()
        page.get_by_text("link copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == f"{address(run)}#image-{twice['id']}"
        assert page.evaluate("location.hash") == f"#image-{twice['id']}"


def test_decisions_are_kept_downloaded_and_taken_back(browser: Browser, run: Run) -> None:
    kept, dropped, other, undone = run.suspects[5], run.suspects[17], run.suspects[2], run.suspects[4]
    with visiting(browser, run) as page:
        assert not page.locator("#bar").is_visible()
        card_of(page, kept).get_by_role("button", name="keep").click()
        card_of(page, dropped).get_by_role("button", name="drop").click()
        relabel(card_of(page, other), "-1")
        relabel(card_of(page, other), "=1+1" if other["label"] != "=1+1" else "-1")
        card_of(page, undone).get_by_role("button", name="drop").click()
        card_of(page, undone).get_by_role("button", name="undo").click()
        assert "3 decisions, 3 not in a downloaded file yet" in (page.locator("#told").text_content() or "")
        page.reload()
        assert page.locator(".card.decided").count() == 3
        page.locator("#mine").select_option("1")
        assert len(shown(page)) == 3
        page.locator("#clear").click()
        page.locator("#download").click()
        assert "Write your name first" in (page.locator("#told").text_content() or "")
        rows = download(page)
        relabelled = "=1+1" if other["label"] != "=1+1" else "-1"
        wanted = [(kept, "keep", ""), (dropped, "drop", ""), (other, "relabel", relabelled)]
        assert [row | {"time": ""} for row in rows] == [
            {
                "sample": disarmed(row["name"]),
                "action": action,
                "label": disarmed(label),
                "by": "mia",
                "note": "",
                "time": "",
                "hash": row["pixel_hash"],
            }
            for row, action, label in wanted
        ]
        assert all(one["name"] in spellings(row["sample"]) for (one, _, _), row in zip(wanted, rows, strict=True))
        assert [row["time"] for row in rows] == sorted({row["time"] for row in rows})
        card_of(page, kept).get_by_role("button", name="undo").click()
        page.reload()
        again = download(page, by="=tom")
        assert again[:2] == rows[1:]  # the same rows, so that taking both files over changes nothing
        assert again[2] | {"time": ""} == rows[0] | {"action": "undo", "by": "'=tom", "time": ""}
        assert again[2]["time"] > rows[2]["time"]
        page.locator("#discard").click()
        assert [row["action"] for row in download(page)] == ["undo"] * 3
        assert page.locator(".card.decided").count() == 0


def test_an_image_with_two_cards_has_one_decision_and_two_tabs_have_the_same(browser: Browser, run: Run) -> None:
    twice = run.suspects[3]
    with visiting(browser, run) as page:
        other = page.context.new_page()
        other.goto(address(run))
        card_of(page, twice).get_by_role("button", name="drop").click()
        assert page.locator(".card.decided").count() == 2
        other.wait_for_function("() => document.querySelectorAll('.card.decided').length === 2")
        card_of(other, run.suspects[5]).get_by_role("button", name="keep").click()
        page.wait_for_function("() => document.querySelectorAll('.card.decided').length === 3")
        assert [row["action"] for row in download(page)] == ["drop", "keep"]


def test_where_nothing_may_be_stored_the_page_holds_the_decisions(browser: Browser, run: Run) -> None:
    with visiting(browser, run, script=NO_STORE) as page:
        card_of(page, run.suspects[5]).get_by_role("button", name="drop").click()
        assert "Kept in this page alone" in (page.locator("#told").text_content() or "")
        assert [row["action"] for row in download(page)] == ["drop"]


def test_what_a_browser_kept_from_elsewhere_does_no_harm(browser: Browser, run: Run) -> None:
    with visiting(browser, run) as page:
        page.evaluate("for (const key of ['winnow decisions x', 'winnow name']) localStorage.setItem(key, '[1')")
        card_of(page, run.suspects[5]).get_by_role("button", name="drop").click()
        key = "Object.keys(localStorage).find((key) => key.startsWith('winnow decisions ') && !key.endsWith(' x'))"
        for value in ("{", "[]", "null", '{"a": null, "b": {"name": "b"}}'):
            page.evaluate(f"value => localStorage.setItem({key}, value)", value)
            page.reload()
            assert not page.locator("#bar").is_visible()
        card_of(page, run.suspects[5]).get_by_role("button", name="drop").click()
        assert [row["action"] for row in download(page)] == ["drop"]


def test_without_scripts_all_is_there_to_be_read_and_links_work(browser: Browser, run: Run) -> None:
    folded = run.suspects[1]
    with visiting(browser, run, java_script_enabled=False) as page:
        assert len(shown(page)) == 15
        assert not page.locator("#tools").is_visible()
        assert not page.locator("#bar").is_visible()
        assert page.get_by_role("button", name="drop").count() == 0
        page.goto(f"{address(run)}#image-{folded['id']}")
        card_of(page, folded).wait_for(state="visible")


def test_no_other_script_runs(browser: Browser, run: Run, tmp_path: Path) -> None:
    html = run.path("report/index.html").read_text(encoding="utf-8")
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(html.replace("</main>", "<script>document.title = 'hit'</script></main>"), encoding="utf-8")
    context = browser.new_context()
    page, heard = context.new_page(), list[str]()
    page.on("console", lambda message: heard.append(message.text))
    page.goto(spoilt.as_uri())
    assert page.title().startswith("Winnow")
    assert len(heard) == 1
    assert "Content Security Policy" in heard[0]
    context.close()
