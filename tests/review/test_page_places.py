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


def queues(stub: Stub) -> int:
    """How often the queue was asked for."""
    return sum("/api/queue" in path for path in stub.log)


def test_decisions_applied_in_the_background_leave_note_and_place(visitor: Visitor, stub: Stub) -> None:
    stub.applying = RUNNING
    for _ in range(3):
        open_apply(visitor)
    visitor.press("s", "n")
    visitor.page.keyboard.type("the handle is glass, ")
    before = queues(stub)
    with visitor.page.expect_response(lambda answer: "/api/queue" in answer.url):
        stub.applying = DONE
    visitor.page.keyboard.type("the body metal")
    visitor.page.wait_for_timeout(700)  # longer than the window waits between two looks
    assert queues(stub) == before + 1
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
