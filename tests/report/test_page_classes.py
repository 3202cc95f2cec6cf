"""Of many classes the page shows some and counts the others; the CSV beside it has all."""

import csv
from pathlib import Path

import pytest

from tests.support.page import read
from tests.support.runs import Run, verdict
from winnow.report.page import CLASSES_SHOWN

PAGE_BYTES = 120_000  # of which 60 KB are style and script


def many(folder: Path, classes: int) -> Run:
    """A run of which three images were dropped, each of another class."""
    run = Run(folder, classes=[f"class {number:04}" for number in range(classes)])
    gone = run.suspects[4:7]
    run.verdicts["r1", "cleanse_final"] = [verdict(row, "drop") for row in gone]
    run.refined = [row for row in run.refined if row not in gone]
    return run


def test_a_thousand_classes_take_no_more_room_than_forty(tmp_path: Path) -> None:
    run = many(tmp_path, 1000)
    path = run.write().report()
    page = read(path)
    assert path.stat().st_size < PAGE_BYTES
    assert "1,000 classes, the 40 here that lost the largest share of their images" in page.text
    assert f"960 more classes; all of them in {run.path('report/classes.csv').as_posix()}" in page.text
    assert "and 960 classes with fewer images here" in page.text  # the legend of the map
    headings = [one for one in page.all("th") if one.get("scope") == "row"]
    assert len(headings) < CLASSES_SHOWN + 20  # with those of the other tables
    for number in (4, 5, 6):
        assert f"class {number:04} 2 1" in page.text
    # Of the class filter, those of the cards: three dropped images, the verdict that every stage has.
    options = [one for one in page.all("option") if str(one.get("value", "")).isdigit()]
    assert len(options) < 20


@pytest.mark.parametrize("classes", [3, CLASSES_SHOWN])
def test_few_classes_are_all_shown(tmp_path: Path, classes: int) -> None:
    page = read(many(tmp_path, classes).write().report())
    assert f"{classes} classes class delivered refined" in page.text
    assert "more classes" not in page.text
    assert "with fewer images here" not in page.text


def test_the_csv_has_every_class(tmp_path: Path) -> None:
    run = many(tmp_path, 50)
    run.copy_of(run.suspects[0])
    run.write().report()
    with run.path("report/classes.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == run.classes
    assert rows[0] == {"class": "class 0000", "delivered": "2", "refined": "3", "copies": "1"}
    assert rows[4] == {"class": "class 0004", "delivered": "2", "refined": "1", "copies": "0"}
    assert rows[40] == {"class": "class 0040", "delivered": "0", "refined": "0", "copies": "0"}


def test_a_class_that_a_spreadsheet_would_run_is_written_as_text(tmp_path: Path) -> None:
    Run(tmp_path, classes=["=1+1", "a,b", "c"]).write().report()
    lines = (tmp_path / "report/classes.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["class,delivered,refined,copies", "'=1+1,9,9,0", '"a,b",9,9,0', "c,9,9,0"]
