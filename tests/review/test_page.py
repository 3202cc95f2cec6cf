"""The review page in a real browser: keys, decisions, undo, filters, and what it does where something fails."""

import csv
import io
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.driver import Visitor, rows_of, visiting
from tests.support.review_stub import Stub, make_items, serving
from winnow.verdicts.decision_rows import HEADERS

NASTY = "train/<img src=x onerror=document.title='hit'>/\u202egpj.exe\n.jpg"


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    return Stub(tmp_path / "overrides.csv", {"refine": make_items(120), "label_book": make_items(0), "test": []})


def written(stub: Stub) -> list[tuple[str, ...]]:
    return rows_of(stub.overrides.read_text(encoding="utf-8"))


def port_of(address: str) -> int:
    return int(address.split(":")[2].split("/")[0])


def item(stub: Stub, place: int) -> dict[str, str]:
    return stub.tasks["refine"][place]


def test_a_hundred_decisions_by_keys_are_written_in_their_order(visitor: Visitor, stub: Stub) -> None:
    expected = []
    for place, key in enumerate(islice(cycle("k1dx23"), 100)):
        assert visitor.wait_for_picture() == item(stub, place)["id"]
        visitor.press(key)
        likely = [one["label"] for one in stub.tasks["refine"][place]["likely"]]
        action, label = {"k": ("keep", ""), "d": ("drop", ""), "x": ("drop", "")}.get(key, ("relabel", ""))
        if action == "relabel":
            label = likely[int(key) - 1]
        if label == item(stub, place)["given"]:
            action, label = "keep", ""  # the label delivered is kept
        expected.append((item(stub, place)["id"], action, label))
    visitor.wait_until_saved()
    assert written(stub) == expected
    assert visitor.text("#progress-text") == "100 of 120 decided"
    assert visitor.text("[data-task=refine] .fine") == "100 of 120"


def test_undo_appends_a_row_and_shows_the_image_again(visitor: Visitor, stub: Stub) -> None:
    visitor.press("k", "d", "u")
    assert visitor.wait_for_picture() == item(stub, 1)["id"]
    visitor.press("Control+z")
    assert visitor.wait_for_picture() == item(stub, 0)["id"]
    visitor.wait_until_saved()
    assert written(stub) == [
        (item(stub, 0)["id"], "keep", ""),
        (item(stub, 1)["id"], "drop", ""),
        (item(stub, 1)["id"], "undo", ""),
        (item(stub, 0)["id"], "undo", ""),
    ]
    assert visitor.text("#progress-text") == "0 of 120 decided"
    visitor.press("u")
    assert visitor.text("#last") == "There is nothing to undo."


def test_an_undo_names_the_row_that_it_takes_back_and_the_one_that_had_been_overwritten(
    visitor: Visitor, stub: Stub
) -> None:
    visitor.press("k", "ArrowLeft", "d", "u")  # the answers may come after the next key
    visitor.wait_until_saved()
    first, second, undo = stub.told
    times = [line.rsplit(",", 1)[1] for line in stub.overrides.read_text().splitlines()[1:]]
    assert (undo["id"], undo["taken"], undo["restored"]) == (item(stub, 0)["id"], times[1], times[0])
    assert "taken" not in first
    assert "taken" not in second


def test_an_undo_of_what_somebody_overwrote_names_the_own_row(visitor: Visitor, stub: Stub) -> None:
    visitor.press("k")
    visitor.wait_until_saved()
    own = item(stub, 0)["decision"]["time"]  # type: ignore[index]
    stub.decide({"id": item(stub, 0)["id"], "action": "drop", "label": None, "note": ""}, by="tom")
    visitor.look_around()
    visitor.wait_for_text("[data-index='0']", "dropped")
    visitor.press("u")
    visitor.wait_until_saved()
    assert stub.told[-1]["taken"] == own


def test_undo_takes_back_the_decision_that_is_shown(visitor: Visitor, stub: Stub) -> None:
    visitor.press("k", "d", "ArrowLeft", "ArrowLeft")
    assert "Decided: kept" in visitor.text("#fate")
    visitor.press("u")
    assert visitor.wait_for_picture() == item(stub, 0)["id"]
    visitor.wait_until_saved()
    assert written(stub)[-1] == (item(stub, 0)["id"], "undo", "")
    assert "Decided" not in visitor.text("#fate")


def test_undo_takes_back_a_decision_on_a_picture_that_changed(browser: Browser, stub: Stub) -> None:
    decision = {"action": "drop", "label": None, "by": "tom", "time": "2026-01-01T00:00:00.000000+00:00"}
    stub.tasks["refine"][1].update(decision=decision, stale=True)
    with serving(stub) as address, visiting(browser, address) as visitor:
        visitor.press("k")
        assert visitor.wait_for_picture() == item(stub, 1)["id"]
        visitor.press("u")
        visitor.wait_until_saved()
        assert visitor.wait_for_picture() == item(stub, 1)["id"]
        assert (stub.told[-1]["id"], stub.told[-1]["taken"]) == (item(stub, 1)["id"], decision["time"])


def test_undo_leaves_the_note_for_the_next_decision(visitor: Visitor, stub: Stub) -> None:
    visitor.press("k")
    visitor.wait_for_picture()
    visitor.page.fill("#note", "a long note")
    visitor.page.locator("#note").blur()
    visitor.press("u")
    assert visitor.wait_for_picture() == item(stub, 0)["id"]
    assert visitor.page.input_value("#note") == "a long note"
    visitor.press("d")
    visitor.wait_until_saved()
    assert [told["note"] for told in stub.told] == ["", "", "a long note"]


def test_skip_and_back_decide_nothing(visitor: Visitor, stub: Stub) -> None:
    visitor.press("s", "ArrowRight", "ArrowLeft")
    assert visitor.wait_for_picture() == item(stub, 1)["id"]
    assert written(stub) == []


def test_a_reload_keeps_the_place_and_the_filter(visitor: Visitor, stub: Stub) -> None:
    visitor.page.select_option("#filter", "contradiction")
    visitor.press("s", "k", "s")
    place = visitor.wait_for_picture()
    visitor.wait_until_saved()
    visitor.page.reload()
    assert visitor.wait_for_picture() == place
    assert visitor.page.input_value("#filter") == "contradiction"
    assert visitor.text("#progress-text") == "1 of 120 decided"


def test_filters_show_a_reason_and_what_is_undecided(visitor: Visitor, stub: Stub) -> None:
    visitor.page.select_option("#filter", "random sample")
    assert "random sample" in visitor.text("#where")
    assert "of 30" in visitor.text("#where")
    visitor.press("k", "k")
    visitor.page.check("#open-only")
    visitor.wait_for_text("#where", "of 28")
    visitor.wait_until_saved()
    assert "2 of 30 random images seen" in visitor.text("#estimate")
    assert visitor.text("#estimate b") == "0 %"


def test_any_class_is_typed_or_chosen(visitor: Visitor, stub: Stub) -> None:
    visitor.press("r")
    visitor.page.keyboard.type("pl")
    visitor.page.keyboard.press("Enter")
    visitor.press("r", "ArrowDown", "Enter")  # the second likeliest, which is the label delivered
    visitor.press("r")
    visitor.page.keyboard.type("d")
    visitor.close_window()
    visitor.press("r")
    visitor.page.click("#class-list :text('glass')")
    visitor.wait_until_saved()
    assert written(stub) == [
        (item(stub, 0)["id"], "relabel", "plastic"),
        (item(stub, 1)["id"], "keep", ""),
        (item(stub, 2)["id"], "relabel", "glass"),
    ]


def test_a_note_goes_with_the_decision_and_its_letters_decide_nothing(visitor: Visitor, stub: Stub) -> None:
    visitor.press("n")
    visitor.page.keyboard.type("dark, kdx1")
    visitor.page.keyboard.press("Enter")
    visitor.press("d", "k")
    visitor.wait_until_saved()
    rows = [
        line.split(item(stub, place)["id"])[1] for place, line in enumerate(stub.overrides.read_text().splitlines()[1:])
    ]
    assert ",mia,dark, kdx1," in rows[0]
    assert ",mia,," in rows[1]
    visitor.press("n")
    visitor.page.keyboard.type("of this image alone")
    visitor.page.keyboard.press("Escape")
    visitor.press("s", "k")
    visitor.wait_until_saved()
    assert "alone" not in stub.overrides.read_text(encoding="utf-8")


def test_a_key_held_down_decides_once_and_single_keys_can_be_switched_off(visitor: Visitor, stub: Stub) -> None:
    visitor.wait_for_picture()
    visitor.page.keyboard.down("k")
    for place in (1, 1, 1):
        assert visitor.wait_for_picture() == item(stub, place)["id"]
        visitor.page.keyboard.down("k")  # a repeat
    visitor.page.keyboard.up("k")
    visitor.press("?")
    visitor.page.uncheck("#keys-on")
    visitor.close_window()
    visitor.press("d", "1")
    visitor.page.click("#drop")
    visitor.wait_until_saved()
    assert [action for _, action, _ in written(stub)] == ["keep", "drop"]


def test_the_next_key_works_while_an_answer_is_awaited(visitor: Visitor, stub: Stub) -> None:
    stub.hold.clear()
    visitor.press("k", "d", "1")
    assert visitor.text("#saved") == "… 3 not saved"
    assert "Decided" not in visitor.text("#fate")
    assert written(stub) == []
    stub.hold.set()
    visitor.wait_until_saved()
    assert [action for _, action, _ in written(stub)] == ["keep", "drop", "relabel"]


def test_a_refused_decision_is_taken_back_and_named(visitor: Visitor, stub: Stub) -> None:
    stub.refuse[item(stub, 1)["id"]] = (400, "The image is of another run.")
    visitor.press("k", "d", "k")
    visitor.wait_for_text("#saved", "! 1 not taken")
    assert "1 decision was not taken:" in visitor.text("#refused")
    assert f"{item(stub, 1)['name']}: dropped. The image is of another run." in visitor.text("#refused")
    assert [sample for sample, _, _ in written(stub)] == [item(stub, 0)["id"], item(stub, 2)["id"]]
    assert visitor.text("#progress-text") == "2 of 120 decided"
    assert any("400" in line for line in visitor.complaints)
    visitor.complaints.clear()  # the browser logs the status


def test_decisions_wait_while_overrides_cannot_be_written_and_a_reload_sends_them(visitor: Visitor, stub: Stub) -> None:
    first = item(stub, 0)["id"]
    stub.refuse[first] = (409, "overrides.csv has merge marks: resolve them.")
    visitor.press("k", "d")
    visitor.wait_for_text("#trouble", "merge marks: resolve them. 2 decisions not saved yet.")
    visitor.page.reload()
    visitor.wait_for_text("#trouble", "2 decisions not saved yet.")
    stub.refuse.clear()
    visitor.wait_until_saved()
    assert [action for _, action, _ in written(stub)] == ["keep", "drop"]
    assert visitor.text("#trouble") == ""
    assert all("409" in line for line in visitor.complaints)
    visitor.complaints.clear()


def test_nothing_is_lost_while_the_server_is_gone(browser: Browser, stub: Stub) -> None:
    with ExitStack() as ended:
        with serving(stub) as address:
            visitor = ended.enter_context(visiting(browser, address))
            visitor.press("k")
            visitor.wait_until_saved()
            visitor.wait_for_ahead(item(stub, 2)["id"], item(stub, 3)["id"])
        visitor.press("d", "1", "k")  # the pictures of these were fetched ahead
        visitor.wait_for_text("#trouble", "The server does not answer.")
        visitor.wait_for_text("#trouble", "3 decisions not saved yet.")
        visitor.wait_for_text("#stage", "The picture could not be loaded.")
        visitor.press("d")  # nobody has seen this image
        assert visitor.text("#last") == "The picture is not there yet."
        with visitor.page.expect_download() as saving:
            visitor.page.click("text=Download them")
        kept = Path(saving.value.path()).read_text(encoding="utf-8")
        assert len(written(stub)) == 1
        ended.enter_context(serving(stub, port_of(address)))
        visitor.wait_until_saved()
        assert [action for _, action, _ in written(stub)] == ["keep", "drop", "relabel", "keep"]
        names = {one["id"]: one["name"] for one in stub.tasks["refine"]}
        assert rows_of(kept) == [(names[one], *said) for one, *said in written(stub)[1:]]
        visitor.page.wait_for_selector("#stage img")
        assert visitor.text("#trouble") == ""
        assert all("ERR_CONNECTION" in line or "ERR_EMPTY" in line for line in visitor.complaints)


def test_a_server_started_anew_with_another_token_is_named(browser: Browser, stub: Stub) -> None:
    with ExitStack() as ended:
        with serving(stub) as address:
            visitor = ended.enter_context(visiting(browser, address))
            visitor.wait_for_picture()
        address = ended.enter_context(serving(stub, port_of(address), token="another"))
        visitor.press("k")
        visitor.wait_for_text(
            "#trouble", "and then open the address that it printed in this tab. 1 decision not saved yet."
        )
        assert written(stub) == []
        visitor.page.goto(address)
        visitor.wait_until_saved()
        assert written(stub) == [(item(stub, 0)["id"], "keep", "")]


def test_trouble_that_is_told_again_keeps_the_focus_and_another_takes_its_place(visitor: Visitor) -> None:
    script = """async () => {
        const { drawTrouble } = await import("/static/view.js");
        const pressed = [];
        for (const n of [1, 2]) drawTrouble("No answer.", { Again: () => pressed.push(n) });
        const box = document.getElementById("trouble");
        box.querySelector("button").focus();
        drawTrouble("No answer.", { Again: () => pressed.push(3) });
        const kept = document.activeElement.textContent;
        document.activeElement.click();
        drawTrouble("Other words.", { Again: () => pressed.push(4) });
        const other = box.textContent;
        drawTrouble(null);
        return [kept, pressed, other, box.textContent];
    }"""
    assert visitor.page.evaluate(script) == ["Again", [3], "! Other words.Again", ""]


def test_each_task_has_a_download_with_name_and_hash(browser: Browser, tmp_path: Path) -> None:
    checked = [one | {"id": f"b{place:015x}"} for place, one in enumerate(make_items(3, why=["label book"]))]
    stub = Stub(tmp_path / "overrides.csv", {"refine": make_items(5), "label_book": checked, "test": []})
    for one in [*stub.tasks["refine"], *checked]:
        one.update(sample=f"{one['name']} in rows", hash=one["id"] * 2)
    with serving(stub) as address, visiting(browser, address) as visitor:
        for task in ("refine", "label_book"):
            for one in stub.tasks[task]:
                stub.refuse[one["id"]] = (409, "No room.")
        visitor.press("d")
        visitor.page.click("[data-task=label_book]")
        visitor.wait_for_text("#question", "Is the label right?")
        visitor.press("k")
        visitor.wait_for_text("#trouble", "2 decisions not saved yet.")
        for task, words, one in (("refine", "Refine", item(stub, 0)), ("label_book", "Label book", checked[0])):
            with visitor.page.expect_download() as saving:
                visitor.page.click(f"text=Download them: {words}")
            assert saving.value.suggested_filename == f"decisions-{task}.csv"
            (row,) = csv.DictReader(io.StringIO(Path(saving.value.path()).read_text(encoding="utf-8")))
            assert (row["sample"], row["hash"]) == (f"{one['name']} in rows", one["id"] * 2)
        stub.refuse.clear()
        visitor.wait_until_saved()


def test_text_from_the_data_stays_text(browser: Browser, stub: Stub) -> None:
    stub.tasks["refine"][0].update(name=NASTY, given=NASTY, label=NASTY)
    with serving(stub) as address, visiting(browser, address) as visitor:
        assert "\\u202egpj.exe\\u000a.jpg" in visitor.text("#name")
        assert visitor.page.title() == "Winnow: review"
        assert visitor.page.locator("img[src=x]").count() == 0
        assert visitor.complaints == []


def test_rows_kept_by_hand_are_rows_of_overrides_csv(visitor: Visitor) -> None:
    text = visitor.page.evaluate(
        """async () => (await import("/static/rescue.js")).asRows([
            { id: "ab", action: "relabel", label: 'a "b", c', note: "", by: "mia" },
            { id: "cd", action: "drop", label: null, note: "two\\nlines", by: "mia" }])"""
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) in HEADERS
    assert [(row["sample"], row["action"], row["label"], row["note"]) for row in rows] == [
        ("ab", "relabel", 'a "b", c', ""),
        ("cd", "drop", "", "two\nlines"),
    ]
