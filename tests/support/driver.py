"""A page in headless Chromium that a test clicks, types and reads in."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page

from bench import review_page
from tests.support.browser import find_browser

OPTIONS = (
    "--disable-dev-shm-usage",  # a container's is small
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # a request to elsewhere goes nowhere
)
PATIENCE = 30_000  # milliseconds that a busy machine may take; only what fails takes so long
# Roles that somebody who cannot see the page knows by their names only.
NAMED_ROLES = {
    "button", "checkbox", "combobox", "dialog", "heading", "image", "link", "listbox", "main", "navigation", "option",
    "progressindicator", "region", "textbox", "complementary",
}  # fmt: skip


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, for all tests of a file; skips where none is installed."""
    find_browser()
    with review_page.chromium(*OPTIONS) as browser:
        yield browser


@dataclass
class Visitor:
    """A tab that shows the review page, and all that the browser complained about there."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, each once the picture is there, as a person does."""
        for key in keys:
            self.wait_for_picture()
            self.page.keyboard.press(key)

    def close_window(self) -> None:
        """Close the window over the page with Escape, and wait until it is: keys are not for the page before."""
        self.page.keyboard.press("Escape")
        self.page.wait_for_function("() => document.querySelector('dialog[open]') === null")

    def wait_for_picture(self) -> str:
        """Id of the image shown, once its picture is."""
        self.page.wait_for_function(
            "() => { const { id } = document.querySelector('#work').dataset;"
            " return id && document.querySelector('#stage').dataset.shown === id; }"
        )
        return str(self.page.locator("#stage").get_attribute("data-shown"))

    def wait_for_ahead(self, *identifiers: str) -> None:
        """Until the pictures of these were fetched before they are shown."""
        self.page.wait_for_function(
            "ids => ids.every(id => performance.getEntriesByType('resource').some("
            "one => one.name.includes('/api/image/' + id) && one.responseEnd > 0))",
            arg=list(identifiers),
        )

    def wait_until_saved(self) -> None:
        """Until every decision was answered."""
        self.wait_for_text("#saved", "All saved")

    def wait_for_text(self, selector: str, text: str) -> None:
        """Until an element holds the text."""
        self.page.wait_for_function(
            "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)", arg=[selector, text]
        )

    def text(self, selector: str) -> str:
        """The text of an element, with single spaces."""
        return " ".join((self.page.locator(selector).text_content() or "").split())

    def look_around(self) -> None:
        """Let the page ask now what others decided, as it does when its tab is brought to the front."""
        self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def unnamed(self) -> list[str]:
        """What the browser would give a screen reader without a name, by role."""
        session = self.page.context.new_cdp_session(self.page)
        nodes: list[dict[str, Any]] = session.send("Accessibility.getFullAXTree")["nodes"]
        session.detach()
        found = {
            node["nodeId"]: node["role"]["value"]
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in NAMED_ROLES and not node.get("name", {}).get("value")
        }
        assert len(nodes) > 50, "the tree is empty"
        return sorted(found.values())


@contextmanager
def visiting(browser: Browser, address: str, **context: Any) -> Iterator[Visitor]:
    """A tab of its own on the page at `address`; `context` is what Playwright's new_context takes."""
    made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
    made.set_default_timeout(PATIENCE)
    try:
        yield open_tab(made.new_page(), address)
    finally:
        made.close()


def open_tab(page: Page, address: str) -> Visitor:
    """Open the page in a tab, and wait for the first picture."""
    visitor = Visitor(page)
    page.on("console", lambda message: visitor.complaints.append(message.text))
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(address)
    visitor.wait_for_picture()
    return visitor


def rows_of(text: str) -> list[tuple[str, ...]]:
    """Rows of overrides.csv without its header: sample, action, label."""
    return [tuple(line.split(",")[:3]) for line in text.splitlines()[1:]]


def boxes(visitor: Visitor, selector: str) -> list[dict[str, float]]:
    """Width and height of every visible element that fits."""
    script = (
        "selector => JSON.stringify([...document.querySelectorAll(selector)].filter(one => one.checkVisibility())"
        ".map(one => { const box = one.getBoundingClientRect(); return {width: box.width, height: box.height}; }))"
    )
    found: list[dict[str, float]] = json.loads(visitor.page.evaluate(script, selector))
    return found
