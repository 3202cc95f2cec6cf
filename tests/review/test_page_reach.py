"""The review page for everybody: phone, dark, keyboard alone, screen reader, two tabs, ten thousand images."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.support import review_stub
from tests.support.driver import Visitor, boxes, open_tab, rows_of, visiting
from tests.support.review_stub import Stub, make_items, serving

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
FINGER = 44  # CSS pixels, the least that a finger hits
DIALOGS = {"chooser": "r", "help": "?"}
FOCUSED = "document.activeElement.id || document.activeElement.className || document.activeElement.dataset.task"


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    tasks = {"refine": make_items(40), "label_book": [], "test": []}
    for place, one in enumerate(make_items(3, why=["label book"])):
        tasks["label_book"].append(one | {"id": f"b{place:015x}"})
    return Stub(tmp_path / "overrides.csv", tasks)


def actions(stub: Stub) -> list[str]:
    return [row[1] for row in rows_of(stub.overrides.read_text(encoding="utf-8"))]


def test_another_tab_learns_what_was_decided_and_both_decide(browser: Browser, stub: Stub) -> None:
    with serving(stub) as address, visiting(browser, address) as one:
        two = open_tab(one.page.context.new_page(), address)
        one.press("k")
        one.wait_until_saved()
        two.look_around()
        two.wait_for_text("#fate", "Decided: kept")
        assert two.text("#last") == "✓ mia decided just now: kept."
        two.press("s", "d")
        two.wait_until_saved()
        one.look_around()
        one.wait_for_text("#progress-text", "2 of 40 decided")
        one.press("u")  # what this tab decided last, or what is shown decided
        one.wait_until_saved()
        two.look_around()
        two.wait_for_text("#progress-text", "1 of 40 decided")
        assert len(actions(stub)) == 3
        assert one.complaints == two.complaints == []


def test_decisions_of_others_beyond_the_listed_images_are_counted(browser: Browser, stub: Stub) -> None:
    stub.listed = 30
    with serving(stub) as address, visiting(browser, address) as visitor:
        visitor.press("k")
        visitor.wait_until_saved()
        for place in (5, 35):
            stub.decide({"id": f"{place:016x}", "action": "drop", "label": None, "note": ""}, by="tom")
        visitor.look_around()
        visitor.wait_for_text("#progress-text", "3 of 40 decided")
        visitor.press("k")
        visitor.wait_for_text("#progress-text", "4 of 40 decided")


def test_a_decision_on_another_picture_that_arrives_is_shown_as_such(visitor: Visitor, stub: Stub) -> None:
    visitor.wait_for_picture()
    stub.decide({"id": f"{0:016x}", "action": "drop", "label": None, "note": ""}, by="tom")
    stub.rows[-1]["stale"] = "ab" * 16
    stub.tasks["refine"][0]["stale"] = True
    visitor.look_around()
    visitor.wait_for_text("#fate", "The file changed since its decision. Decide again.")
    visitor.page.wait_for_function("() => document.querySelectorAll('#stage img').length === 2")
    assert visitor.text("#progress-text") == "0 of 40 decided"


def test_after_a_refused_undo_the_decision_that_counts_is_shown(visitor: Visitor, stub: Stub) -> None:
    first = f"{0:016x}"
    visitor.press("k")
    visitor.wait_until_saved()
    stub.hold.clear()
    visitor.press("u")
    stub.decide({"id": first, "action": "drop", "label": None, "note": ""}, by="tom")
    with visitor.page.expect_response(lambda answer: "/api/changes" in answer.url):
        visitor.look_around()  # what waits is not overwritten by it
    stub.refuse[first] = (412, "tom decided since; nothing was taken back")
    stub.hold.set()
    visitor.wait_for_text("#refused", "tom decided since")
    visitor.wait_for_text("#fate", "Decided: dropped by tom")
    visitor.complaints.clear()  # the browser logs the status


def test_the_estimate_and_the_tabs_follow_what_others_decide(visitor: Visitor, stub: Stub) -> None:
    visitor.wait_for_picture()
    for identifier in [*(f"{place:016x}" for place in (3, 7, 11)), f"b{0:015x}"]:
        stub.decide({"id": identifier, "action": "drop", "label": None, "note": ""}, by="tom")
    visitor.look_around()
    visitor.wait_for_text("#progress-text", "3 of 40 decided")
    visitor.wait_for_text("#estimate", "3 of 10 random images seen")
    assert visitor.text("#estimate b") == "100 %"
    assert visitor.text("[data-task=label_book] .fine") == "1 of 3"


def test_a_row_without_a_name_is_somebody_s(visitor: Visitor, stub: Stub) -> None:
    visitor.wait_for_picture()
    stub.decide({"id": f"{0:016x}", "action": "drop", "label": None, "note": ""}, by=None)
    visitor.look_around()
    visitor.wait_for_text("#last", "Somebody decided just now: dropped.")


def test_the_label_book_is_counted_until_all_is_seen(visitor: Visitor) -> None:
    script = """async ([sampled, share, later]) => {
        const { drawProgress } = await import("/static/view.js");
        drawProgress(1, 9, "label_book", { sampled, of: 9, faults: 2, share, low: null, high: null, later });
        return document.getElementById("estimate").textContent;
    }"""
    assert visitor.page.evaluate(script, [4, None, 0]) == "Wrong: 2, 4 of 9 images seen"
    assert visitor.page.evaluate(script, [9, 2 / 9, 0]) == "Wrong: 2 (22 % of all), 9 of 9 images seen"
    assert "3 more count once those before are decided" in visitor.page.evaluate(script, [4, None, 3])


def test_ten_thousand_images_are_a_short_page(browser: Browser, tmp_path: Path) -> None:
    stub = Stub(tmp_path / "overrides.csv", {"refine": make_items(10_000)})
    with serving(stub) as address, visiting(browser, address) as visitor:
        assert visitor.page.locator("*").count() < 700
        assert visitor.page.locator("#list [role=option]").count() < 40
        visitor.page.evaluate("document.querySelector('#list').scrollTop = 1e9")
        visitor.page.wait_for_selector("#row-9999")
        assert visitor.page.locator("#row-9999").get_attribute("aria-posinset") == "10000"
        assert "image 09999.jpg" in visitor.text("#row-9999")
        visitor.page.click("#row-9999")
        assert visitor.wait_for_picture() == f"{9999:016x}"
        visitor.press("k")
        visitor.wait_until_saved()
        assert rows_of(stub.overrides.read_text())[0][0] == f"{9999:016x}"
        assert visitor.page.locator("*").count() < 700
        visitor.page.focus("#list")
        visitor.page.keyboard.press("Home")
        assert visitor.wait_for_picture() == f"{0:016x}"
        visitor.page.keyboard.press("ArrowDown")
        assert visitor.wait_for_picture() == f"{1:016x}"
        assert visitor.page.locator("#list").get_attribute("aria-activedescendant") == "row-1"
        assert visitor.complaints == []


def test_everything_has_a_name_for_a_screen_reader(visitor: Visitor, stub: Stub) -> None:
    visitor.page.wait_for_selector("#evidence .thumb")
    assert visitor.unnamed() == []
    assert "Image 1 of 40, train/glass/image 00000.jpg" in visitor.text("#live")
    for dialog, key in DIALOGS.items():
        visitor.press(key)
        visitor.page.wait_for_selector(f"#{dialog}[open]")
        assert visitor.unnamed() == []
        visitor.close_window()
    visitor.page.click("#evidence .thumb >> nth=0")
    visitor.page.wait_for_selector("#peek[open] img")
    assert visitor.unnamed() == []
    visitor.close_window()
    visitor.page.evaluate("document.querySelector('#stage img').alt = ''")
    visitor.page.evaluate("document.querySelector('#keep').replaceChildren()")
    assert "button" in visitor.unnamed()  # the check finds what has no name


def test_a_key_right_after_a_window_is_closed_is_for_the_page(visitor: Visitor, stub: Stub) -> None:
    visitor.press("r")
    visitor.page.wait_for_selector("#chooser[open]")
    # The browser takes the focus from the closed window's field when it draws again; this key comes before.
    script = """() => {
        document.querySelector("#chooser").close();
        const field = document.activeElement;
        field.dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true, cancelable: true }));
        return [field.id, document.querySelector("#help").open];
    }"""
    assert visitor.page.evaluate(script) == ["class-text", True]


def test_a_window_is_closed_by_a_click_beside_it_alone(visitor: Visitor, stub: Stub) -> None:
    stub.applying = {"running": False, "log": "a line of the log\n" * 9, "ok": True}
    is_open = "document.querySelector('#applying').open"
    mouse = visitor.page.mouse
    visitor.wait_for_picture()
    visitor.page.click("#apply-open")
    log = visitor.page.locator("#apply-log")
    log.wait_for()
    window, text = visitor.page.locator("#applying").bounding_box(), log.bounding_box()
    assert window is not None
    assert text is not None
    mouse.click(window["x"] + 8, window["y"] + 8)  # in its padding
    assert visitor.page.evaluate(is_open)
    for end in (text["y"] + text["height"] + 8, window["y"] + window["height"] + 40):  # lines of the log are selected
        mouse.move(text["x"] + 40, text["y"] + 40)
        mouse.down()
        mouse.move(text["x"] + 60, end, steps=3)
        mouse.up()
        assert visitor.page.evaluate(is_open)
    mouse.click(window["x"] - 20, window["y"] + 20)
    assert not visitor.page.evaluate(is_open)


def test_the_tabulator_reaches_every_control_in_the_order_seen(visitor: Visitor, stub: Stub) -> None:
    visitor.page.wait_for_selector("#evidence .thumb")
    reached: list[str] = []
    for _ in range(60):
        visitor.page.keyboard.press("Tab")
        name = visitor.page.evaluate(FOCUSED)
        if reached and name == reached[0]:
            break
        reached.append(name)
    head = ["skip-link", "refine", "label_book", "apply-open", "help-open", "filter", "open-only", "list", "zoom"]
    wanted = [*head, "label", "keep", "drop", "relabel", "back", "undo", "skip", "note", "thumb"]
    assert [name for name in dict.fromkeys(reached) if name in wanted] == wanted


def test_the_focus_stays_where_the_hand_is(visitor: Visitor, stub: Stub) -> None:
    visitor.wait_for_picture()
    visitor.page.focus("#labels button >> nth=1")
    for place in (0, 1):
        assert visitor.wait_for_picture() == f"{place:016x}"
        visitor.page.keyboard.press("Enter")
    visitor.wait_until_saved()
    assert (
        visitor.page.evaluate("[...document.querySelectorAll('#labels button')].indexOf(document.activeElement)") == 1
    )
    visitor.page.focus("[data-task=refine]")
    visitor.press("k")
    visitor.wait_until_saved()
    assert visitor.page.evaluate("document.activeElement.dataset.task") == "refine"
    assert actions(stub) == ["keep", "keep", "keep"]  # the second label is the one delivered


def test_the_buttons_do_what_the_keys_do(visitor: Visitor, stub: Stub) -> None:
    for button in ("#keep", "#drop", ".label >> nth=0", "#skip", "#back", "#drop", "#undo"):
        visitor.wait_for_picture()
        visitor.page.click(button)
    visitor.wait_until_saved()
    assert actions(stub) == ["keep", "drop", "relabel", "drop", "undo"]


def test_a_phone_shows_it_without_scrolling_sideways_and_fingers_hit(browser: Browser, stub: Stub) -> None:
    with serving(stub) as address, visiting(browser, address, **PHONE, color_scheme="dark") as visitor:
        assert visitor.page.evaluate("document.documentElement.scrollWidth") == 390
        low = min(min(box.values()) for box in boxes(visitor, "header button, #choices button"))
        assert low >= FINGER
        assert visitor.page.locator("#note").is_visible()
        visitor.page.fill("#note", "by thumb")
        visitor.page.tap("#drop")
        assert visitor.wait_for_picture() == f"{1:016x}"
        visitor.page.tap("#queue-open")
        visitor.page.tap("#row-5")
        assert visitor.wait_for_picture() == f"{5:016x}"
        assert not visitor.page.locator("#queue").is_visible()
        swipe(visitor, -200)
        assert visitor.wait_for_picture() == f"{6:016x}"
        swipe(visitor, 200)
        assert visitor.wait_for_picture() == f"{5:016x}"
        visitor.wait_until_saved()
        assert actions(stub) == ["drop"]
        assert "by thumb" in stub.overrides.read_text(encoding="utf-8")
        assert visitor.complaints == []


def swipe(visitor: Visitor, across: int) -> None:
    """A finger on the picture, moved sideways."""
    session = visitor.page.context.new_cdp_session(visitor.page)
    for kind, points in (
        ("touchStart", [{"x": 195, "y": 300}]),
        ("touchMove", [{"x": 195 + across, "y": 305}]),
        ("touchEnd", []),
    ):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.detach()


@pytest.mark.parametrize(("scheme", "paper"), [("light", (251, 250, 247)), ("dark", (23, 22, 20))])
def test_it_follows_the_scheme(
    browser: Browser, stub: Stub, tmp_path: Path, scheme: str, paper: tuple[int, ...]
) -> None:
    with serving(stub) as address, visiting(browser, address, color_scheme=scheme, reduced_motion="reduce") as visitor:
        visitor.page.screenshot(path=tmp_path / "shot.png")
        pixels = np.asarray(Image.open(tmp_path / "shot.png").convert("RGB"))
        assert tuple(pixels[-4, 400]) == paper
        assert visitor.page.evaluate("getComputedStyle(document.querySelector('.fill')).transitionDuration") == "0s"


@pytest.mark.parametrize(
    "settings", [{}, {"color_scheme": "dark"}, {"color_scheme": "dark", "forced_colors": "active"}]
)
def test_what_is_transparent_is_shown_over_white(
    browser: Browser, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    """As the pipeline sees it: a black drawing would be lost on the dark scheme."""
    sink = io.BytesIO()
    Image.new("RGBA", (64, 64)).save(sink, "PNG")
    monkeypatch.setattr(review_stub, "picture", lambda *_: sink.getvalue())
    with serving(stub) as address, visiting(browser, address, **settings) as visitor:
        visitor.wait_for_picture()
        visitor.page.click("#evidence .thumb >> nth=0")
        visitor.page.wait_for_function("() => document.querySelector('#peek img').naturalWidth > 0")
        visitor.page.locator("#peek img").screenshot(path=tmp_path / "peek.png")
        visitor.close_window()
        visitor.page.locator("#now img").screenshot(path=tmp_path / "stage.png")
    for name in ("peek", "stage"):
        pixels = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"))
        assert pixels[len(pixels) // 2, len(pixels[0]) // 2].tolist() == [255, 255, 255]


def test_a_changed_image_is_shown_as_it_was_and_as_it_is(browser: Browser, stub: Stub) -> None:
    decision = {"action": "drop", "label": None, "by": "tom", "time": "2026-01-01T00:00:00.000000+00:00"}
    stub.tasks["refine"][0].update(decision=decision, stale=True, seen="ab" * 16)
    with serving(stub) as address, visiting(browser, address) as visitor:
        assert visitor.page.locator("#stage img").count() == 2
        assert any(f"seen={'ab' * 16}" in path for path in stub.log)
        assert "The file changed since its decision. Decide again." in visitor.text("#fate")
        assert visitor.text("#progress-text") == "0 of 40 decided"
        visitor.press("k", "ArrowLeft")
        assert visitor.wait_for_picture() == f"{0:016x}"
        expect(visitor.page.locator("#stage img >> visible=true")).to_have_count(1)
        visitor.wait_until_saved()
        assert actions(stub) == ["keep"]


def test_the_label_book_is_checked_in_its_own_words(visitor: Visitor, stub: Stub) -> None:
    visitor.page.click("[data-task=label_book]")
    visitor.wait_for_text("#question", "Is the label right?")
    visitor.wait_for_text("#keep", "Right")
    visitor.press("k", "d")
    visitor.wait_until_saved()
    visitor.wait_for_text("#progress-text", "2 of 3 decided")
    assert visitor.text("[data-task=label_book] .fine") == "2 of 3"
    assert actions(stub) == ["keep", "drop"]


def test_a_link_opens_its_image_and_what_the_run_lacks_is_named(browser: Browser, stub: Stub) -> None:
    stub.gaps = {
        "missing": ["data/r1/embed/neighbours.parquet"],
        "unknown_rows": {"overrides.csv": 2, "checked.csv": 0},
    }
    with serving(stub) as address, visiting(browser, f"{address}#task=label_book&id=b{2:015x}") as visitor:
        assert visitor.wait_for_picture() == f"b{2:015x}"
        assert "#" not in visitor.page.url
        lines = visitor.page.locator("#gaps li").all_text_contents()
        assert lines == [
            "data/r1/embed/neighbours.parquet is not there; the queue does without it.",
            "overrides.csv: 2 rows about images that are not in this dataset.",
        ]
        assert visitor.complaints == []


def test_a_picture_of_the_evidence_is_enlarged_and_leads_to_its_image(visitor: Visitor, stub: Stub) -> None:
    visitor.page.click("#evidence [aria-label^='neighbour'] >> nth=3")
    visitor.page.wait_for_selector("#peek[open] img")
    visitor.page.click("#peek-go")
    assert visitor.wait_for_picture() == f"{3:016x}"
    assert actions(stub) == []


def test_a_neighbour_that_was_dropped_is_shown_as_such(browser: Browser, stub: Stub) -> None:
    evidence = stub.evidence_of(f"{0:016x}")
    evidence["neighbours"][1]["label"] = None
    stub.evidence[f"{0:016x}"] = evidence
    with serving(stub) as address, visiting(browser, address) as visitor:
        visitor.page.wait_for_selector("#evidence .thumb")
        named = visitor.page.locator("#evidence [aria-label^='neighbour, dropped']")
        assert named.all_text_contents() == ["dropped"]
        assert visitor.complaints == []


def test_zoom_enlarges_and_goes_back_with_the_next_image(visitor: Visitor, stub: Stub) -> None:
    width = "document.querySelector('#now img').clientWidth"
    visitor.wait_for_picture()
    fitted = visitor.page.evaluate(width)
    visitor.press("z")
    assert visitor.page.evaluate(width) > 2 * fitted
    assert visitor.page.locator("#zoom").get_attribute("aria-pressed") == "true"
    visitor.press("s")
    visitor.wait_for_picture()
    assert visitor.page.evaluate(width) == fitted


def test_apply_shows_its_log_and_the_queue_anew(visitor: Visitor, stub: Stub) -> None:
    visitor.press("d")
    visitor.wait_until_saved()
    visitor.page.click("#apply-open")
    with visitor.page.expect_response(lambda answer: "/api/queue?task=refine" in answer.url):
        visitor.page.click("#apply-start")
    visitor.wait_for_text("#apply-state", "Done")
    assert "export" in visitor.text("#apply-log")
    visitor.close_window()
    assert visitor.wait_for_picture() == f"{1:016x}"  # the place is kept
