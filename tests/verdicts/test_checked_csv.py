"""checked.csv: what people said of label-book and test images."""

import io
from pathlib import Path

import pytest

from tests.support.datasets import make_dataset
from winnow.dataset.samples import class_names, read_samples
from winnow.pipeline.messages import UserError
from winnow.verdicts.checked_csv import read_checked_csv, resolve_checked
from winnow.verdicts.decision_rows import parse_decision_rows
from winnow.verdicts.decisions import images_of

HEAD = "sample,action,label,by,note,time,hash\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_dataset(tmp_path / "prepared", {"train": 3, "val": 3, "label_book": 3})
    make_dataset(tmp_path / "test", {"test": 6})
    return tmp_path


def checked(source: Path, *lines: str) -> dict[str, str | None]:
    file = source / "checked.csv"
    file.write_text(HEAD + "\n".join(lines))
    names = {row["id"]: row["name"] for one in ("prepared", "test") for row in read_samples(source / one).to_pylist()}
    found = read_checked_csv(file, source / "prepared", source / "test")
    return {names[identifier]: decision.label for identifier, decision in found.items()}


def test_label_book_and_test_images_are_kept_named_anew_or_said_to_show_none(source: Path) -> None:
    lines = ["label_book/i/0.png,keep,,mia,", "test/ii/1.png,relabel,iii", "test/iii/2.png,drop", "test/i/0.png,drop"]
    assert checked(source, *lines, "test/i/0.png,undo") == {
        "label_book/i/0.png": "i",
        "test/ii/1.png": "iii",
        "test/iii/2.png": None,
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "train/i/0.png,keep",
            r"checked\.csv, line 2: 'train/i/0.png' is a train image; put the row into overrides.csv",
        ),
        ("test/i/9.png,keep", "line 2: 'test/i/9.png' is no label-book or test image of this source; delete the row"),
        ("test/i/0.png,relabel,iv", "line 2: 'iv' is no class of this source; write one of 'i', 'ii', 'iii'"),
    ],
)
def test_other_rows_are_refused(source: Path, line: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked(source, line)


def test_every_image_may_be_checked_and_the_last_row_counts(source: Path) -> None:
    samples = read_samples(source / "prepared")
    images = [*images_of(samples), *images_of(read_samples(source / "test"))]
    wanted = [row["id"] for row in images if row["split"] in ("label_book", "test")]
    rows = parse_decision_rows(io.BytesIO((HEAD + "".join(f"{i},drop\n{i},keep\n" for i in wanted)).encode()), "c")
    found = resolve_checked(rows, images, class_names(samples), "c")
    assert {one: decision.label for one, decision in found.items()} == {
        row["id"]: row["label"] for row in images if row["id"] in wanted
    }


def test_more_rows_than_images_need_are_refused(source: Path) -> None:
    with pytest.raises(UserError, match=r"has 1,061 rows, 1,060 are allowed; keep the rows of these images"):
        checked(source, *["test/i/0.png,keep"] * 1061)
