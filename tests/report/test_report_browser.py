"""The page in a real browser: no complaint, no request, readable on a phone and in the dark."""

from pathlib import Path

import pytest

from tests.support.browser import visit
from tests.support.runs import Run, verdict

NASTY = "<script>document.title='hit'</script>\"><img src=x onerror=alert(1)>\n\u202e" + "long" * 40


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Run(tmp_path_factory.mktemp("run"), classes=[NASTY, "ii", "iii"], colour=True)
    run.verdicts["r1", "cleanse_influence"] = [
        verdict(row, "drop", reason=NASTY, support=-1.0, evidence=run.book) for row in run.suspects[:5]
    ]
    gain = {"mean": -0.1, "low": -0.2, "high": 0.0}
    run.contrasts = {part: {"with": NASTY, "without": "arm0", "gain": gain} for part in (NASTY, "policy search " * 9)}
    run.rejected = [{"name": NASTY, "reason": "empty file"}]
    run.refinement = {"faults": 20, "touched": 10, "precision": 0.9, "recall": 0.45, "f1": 0.6}
    return run.write().report()


def test_no_complaint_no_request_and_the_title_is_ours(page: Path, tmp_path: Path) -> None:
    seen = visit(page, tmp_path / "browser", width=1280)
    assert seen.console == []
    assert seen.requests == []
    assert "<title>Winnow: what was done to the data" in seen.dom
    assert "50 % fewer errors" in seen.dom
    assert seen.dom.count('data-label="reading">not shown') == 2
    assert seen.dom.count("<script") == 2  # the cards as the script knows them, and the script
    assert seen.dom.count('class="card drop"') == 5
    assert seen.pixels.shape == (900, 1280, 3)
    assert seen.pixels.min() < 60  # something is written
    assert seen.pixels[-1, 0].min() > 230  # on light paper


def test_it_fits_a_phone_and_is_dark_in_the_dark(page: Path, tmp_path: Path) -> None:
    seen = visit(page, tmp_path / "browser", width=390, dark=True)
    assert "<title>content 390</title>" in seen.dom
    assert seen.console == []
    assert seen.pixels[-1, 0].max() < 40
    assert seen.pixels.max() > 200


def test_the_browser_would_tell_of_complaints_and_requests(page: Path, tmp_path: Path) -> None:
    told = page.read_text(encoding="utf-8").replace("<h1>", '<img src="http://example.org/a.png"><h1>')
    bad = tmp_path / "bad.html"
    bad.write_text(told, encoding="utf-8")
    blocked = visit(bad, tmp_path / "one", width=800)
    assert len(blocked.console) == 1
    assert "Content Security Policy" in blocked.console[0]
    assert blocked.requests == []  # the page's own policy forbids it
    start = told.index("<meta http-equiv")
    bad.write_text(told[:start] + told[told.index(">", start) + 1 :], encoding="utf-8")
    assert visit(bad, tmp_path / "two", width=800).requests == ["http://example.org/a.png"]
