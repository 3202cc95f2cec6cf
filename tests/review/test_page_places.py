"""Which image the page shows when the queue is loaded again, when a link is followed, and under a filter."""

from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Route

from tests.support.driver import Visitor
from tests.support.review_stub import Stub, make_items

RUNNING = {"running": True, "log": "overrides\n", "ok": None}
DONE = {"running": False, "log": "overrides\nrefined\nexport\n", "ok": True}


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    checked = [one | {"id": f"b{place:015x}"} for place, one in enumerate(make_items(3, why=["label book"]))]
    return Stub(tmp_path / "overrides.csv", {"refine": make_items(40), "label_book": checked, "test": []})


def open_apply(visitor: Visitor) -> None:
    """Look at the window in which decisions are applied, and close it."""
    with visitor.page.expect_response(lambda answer: "/api/apply" in answer.url):
        visitor.page.click("#apply-open")
    visitor.wait_for_text("#apply-state", "Running")
    visitor.close_window()


def asked(stub: Stub, path: str) -> int:
    """How often a path was asked for."""
    return sum(path in one for one in stub.log)


def test_decisions_applied_in_the_background_leave_note_and_place(visitor: Visitor, stub: Stub) -> None:
    stub.applying = RUNNING
    for _ in range(3):
        open_apply(visitor)
    visitor.press("s", "n")
    visitor.page.keyboard.type("the handle is glass, ")
    before = asked(stub, "/api/queue")
    with visitor.page.expect_response(lambda answer: "/api/queue" in answer.url):
        stub.applying = DONE
    visitor.page.keyboard.type("the body metal")
    visitor.page.wait_for_timeout(700)  # longer than the window waits between two looks
    assert asked(stub, "/api/queue") == before + 1
    assert visitor.page.input_value("#note") == "the handle is glass, the body metal"
    assert visitor.wait_for_picture() == f"{1:016x}"


def test_what_is_decided_while_the_queue_is_on_its_way_counts(visitor: Visitor, stub: Stub) -> None:
    held: list[tuple[Route, APIResponse]] = []
    stub.applying = RUNNING
    open_apply(visitor)
    visitor.page.route("**/api/queue**", lambda route: held.append((route, route.fetch())))
    stub.applying = DONE
    while not held:
        visitor.page.wait_for_timeout(20)
    visitor.press("k", "d", "k")
    visitor.wait_until_saved()
    visitor.press("n")
    visitor.page.keyboard.type("a note")
    ((route, answer),) = held
    visitor.page.evaluate("document.querySelector('#filter option').className = 'earlier'")
    route.fulfill(response=answer)
    visitor.page.wait_for_selector("#filter .earlier", state="detached")
    assert visitor.wait_for_picture() == f"{3:016x}"
    assert visitor.page.input_value("#note") == "a note"
    assert visitor.text("#progress-text") == "3 of 40 decided"
    visitor.page.keyboard.press("Enter")
    visitor.press("ArrowLeft")
    assert "Decided: kept" in visitor.text("#fate")


def test_a_link_is_followed_while_the_page_is_open(visitor: Visitor, stub: Stub) -> None:
    visitor.press("r")
    address = visitor.page.url
    visitor.page.goto(f"{address}#task=label_book&id=b{2:015x}")
    visitor.page.wait_for_selector(f"#work[data-id=b{2:015x}]")
    assert visitor.wait_for_picture() == f"b{2:015x}"
    assert visitor.page.url == address
    assert visitor.page.locator("dialog[open]").count() == 0  # a class chosen there would be for this image
    before = asked(stub, "/api/state")
    visitor.page.evaluate("document.querySelector('.skip-link').click()")
    visitor.press("ArrowLeft")
    assert visitor.wait_for_picture() == f"b{1:015x}"
    assert asked(stub, "/api/state") == before


def test_a_link_to_an_image_that_is_not_here_keeps_the_place_and_says_so(visitor: Visitor) -> None:
    visitor.press("s", "s")
    visitor.page.goto(f"{visitor.page.url}#task=refine&id={'f' * 16}")
    visitor.wait_for_text("#last", f"There is no image {'f' * 16} here; this is another one.")
    assert visitor.wait_for_picture() == f"{2:016x}"
    visitor.page.goto(f"{visitor.page.url}#task=label_book&id={'e' * 16}")
    visitor.wait_for_text("#last", f"There is no image {'e' * 16} here; this is another one.")
    assert visitor.wait_for_picture() == f"b{0:015x}"


def test_an_image_that_the_filter_hides_gets_a_place_in_the_list(visitor: Visitor, stub: Stub) -> None:
    visitor.page.select_option("#filter", "contradiction")
    visitor.press("s", "s", "s")
    visitor.page.click("#evidence [aria-label^='neighbour'] >> nth=3")
    visitor.page.click("#peek-go")
    assert visitor.wait_for_picture() == f"{3:016x}"
    assert "2 of 11" in visitor.text("#where")  # between the contradictions, which are the 2nd, 6th, 10th ...
    visitor.press("ArrowLeft")
    assert visitor.wait_for_picture() == f"{2:016x}"


def test_an_image_of_the_evidence_is_reached_after_a_reload(visitor: Visitor, stub: Stub) -> None:
    visitor.page.click("#evidence [aria-label^='neighbour'] >> nth=3")
    visitor.page.evaluate("document.querySelector('#filter option').className = 'earlier'")
    visitor.page.evaluate("document.querySelector('#peek').close()")
    stub.applying = RUNNING
    open_apply(visitor)
    visitor.page.evaluate("document.querySelector('#peek').showModal()")
    stub.applying = DONE
    visitor.page.wait_for_selector("#filter .earlier", state="detached")
    visitor.page.click("#peek-go")
    assert visitor.wait_for_picture() == f"{3:016x}"
    assert "4 of 40" in visitor.text("#where")
    visitor.press("d")
    visitor.wait_until_saved()
    visitor.wait_for_text("[data-index='3'] .mark", "dropped")
