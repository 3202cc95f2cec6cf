"""What people say of images: read from hostile files, or refused in one sentence."""

import csv
import io
import itertools
import os
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.datasets import make_dataset
from tests.support.decided import CLASSES, HEAD, ROWS, SAMPLES, source
from tests.support.imports import ROOT
from winnow.dataset.samples import samples_table
from winnow.pipeline.messages import UserError
from winnow.pipeline.spreadsheet import disarmed
from winnow.verdicts.decision_rows import (
    HEADER,
    WRITTEN,
    DecisionRow,
    last_of,
    parse_decision_rows,
    read_decision_rows,
)
from winnow.verdicts.decisions import stale_text
from winnow.verdicts.ledger import DROP, KEEP, RELABEL
from winnow.verdicts.overrides import Override
from winnow.verdicts.overrides_csv import overrides_of, read_overrides_csv, resolve_overrides


def parsed(text: str | bytes) -> list[DecisionRow]:
    return parse_decision_rows(io.BytesIO(text if isinstance(text, bytes) else text.encode()), "overrides.csv")


def found(*lines: str, samples: pa.Table = SAMPLES) -> dict[str, Override]:
    return overrides_of(resolve_overrides(parsed(HEAD + "\n".join(lines)), samples, "overrides.csv"))


# --- the file ---------------------------------------------------------------------------------------------------


def test_the_file_is_there_with_its_header() -> None:
    for name in ("overrides.csv", "decided.csv", "checked.csv"):
        assert (ROOT / name).read_text().splitlines()[0] == ",".join(HEADER)
        read_decision_rows(ROOT / name)


def test_a_row_is_read_with_its_line() -> None:
    rows = parsed(HEAD + 'a,drop,,,\n"train/v/3, old.png",relabel,v,mia,"said ""v""\nand meant it"\nb,keep\n')
    assert rows == [
        DecisionRow(2, "a", DROP, "", "", ""),
        DecisionRow(3, "train/v/3, old.png", RELABEL, "v", "mia", 'said "v" and meant it'),
        DecisionRow(5, "b", KEEP, "", "", ""),
    ]
    assert [row.reason for row in rows] == ["override", 'override by mia: said "v" and meant it', "override"]
    assert DecisionRow(2, "a", KEEP, "", "", "looked twice").reason == "override: looked twice"


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffsample,action,label,by,note\r\na,keep,,mia,\r\n\r\n,,,,\r\n   ,,\r\n",
        '\ufeff"sample","action","label","by","note"\r\n"a","keep","","mia",""\r\n',
        "\n\nSample, Action ,LABEL,by,note,,\na, Keep ,, mia ,,,\n\n",
        "sample,action,label,by,note\ra,keep,,mia,\r",
    ],
    ids=["BOM and CRLF, empty rows", "all quoted", "capitals, blanks and empty columns", "CR alone"],
)
def test_spreadsheets_are_read(content: str) -> None:
    (row,) = parsed(content)
    assert (row.sample, row.action, row.label, row.by, row.note) == ("a", KEEP, "", "mia", "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"overrides\.csv, line 1: the columns must be sample,action,label,by,note, got ''; name them so, with"),
        ("a,drop\n", r"line 1: the columns must be sample,action,label,by,note, got 'a,drop'"),
        ("id,action,label,by,note\n", "line 1: the columns must be .*, got 'id,action,label,by,note'"),
        ("\nsample;action;label;by;note\n", "line 2: .*, got 'sample;action;label;by;note'; .* with commas between"),
        ("sample,action,label,by,note\n".encode("utf-16"), r"overrides\.csv is no text in UTF-8; save it as CSV in UT"),
        (HEAD.encode() + "a,keep,,jürgen,".encode("cp1252"), "is no text in UTF-8"),
        (HEAD + 'a,keep,,,\nb,keep,,,"open\n\n', r"line 3: no CSV \(unexpected end of data\); mend the row's quotes"),
        (HEAD + 'a,keep,,,"x"y\n', "line 2: no CSV .*; mend the row's quotes"),
        (
            HEAD + "a,drop,,mia,no, never\n",
            "line 2: 6 cells for 5 columns, and what follows is no time and hash; put a cell that",
        ),
        (HEAD + " ,drop,,,\n", "line 2: no image is named; write its id, or its name"),
        (HEAD + "a,hide,,,\n", "line 2: the action must be one of keep, drop, relabel, undo, got 'hide'; write one"),
        (HEAD + "a,,,mia,\n", "line 2: the action must be one of keep, drop, relabel, undo, got ''"),
        (HEAD + "\na,relabel, ,,\n", "line 3: relabel needs a label; write the class"),
        (HEAD + 'a,keep,,,"1\n2"\nb,keep,v,,\n', "line 4: keep takes no label, got 'v'; leave it empty, or write rel"),
        (HEAD + "b,drop,v,,\n", "line 2: drop takes no label, got 'v'"),
    ],
)
def test_a_file_that_says_nothing_sound_is_refused(content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parsed(content)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"overrides\.csv is missing; `git checkout .*` or `make run` brings it back"):
        read_decision_rows(tmp_path / "overrides.csv")
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        read_decision_rows(tmp_path)


def test_a_pipe_in_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "overrides.csv")
    with pytest.raises(UserError, match=r"overrides\.csv is no file; `git checkout"):
        read_decision_rows(tmp_path / "overrides.csv")


def test_more_rows_than_images_need_are_refused(tmp_path: Path) -> None:
    many, dataset = tmp_path / "overrides.csv", make_dataset(tmp_path / "set", {"train": 3, "val": 1})
    many.write_text(HEAD + "train/i/0.png,keep\n" * 1016)
    assert len(read_overrides_csv(many, dataset)) == 1
    many.write_text(HEAD + "train/i/0.png,keep\n" * 1017)
    with pytest.raises(UserError, match=r"has 1,017 rows, 1,016 are allowed; keep the rows of these images"):
        read_overrides_csv(many, dataset)
    with pytest.raises(UserError, match=r"has more than 1,000 rows, far more than images; keep the rows of these"):
        read_decision_rows(many, most=1000)


def test_a_row_without_end_is_refused() -> None:
    with pytest.raises(UserError, match=r"line 2: no CSV \(the row has more than 65,536 characters\); mend the row's"):
        parsed(HEAD + 'a,keep,,,"open' + "\nb,keep" * 20_000)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(
    rows=st.lists(st.tuples(TEXT.filter(str.strip), st.sampled_from([KEEP, DROP]), TEXT, TEXT), max_size=5),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from(["", "\ufeff"]),
)
def test_whatever_a_csv_writer_writes_is_read(
    rows: list[tuple[str, str, str, str]], quoting: Any, end: str, mark: str
) -> None:
    if "\r" in "".join(map("".join, rows)):  # Python's writer leaves it bare, where it ends a line
        quoting = csv.QUOTE_ALL
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, quoting=quoting, lineterminator=end)
    writer.writerow(WRITTEN)
    writer.writerows([sample, action, "", by, note] for sample, action, by, note in rows)
    read = parsed(mark + sink.getvalue())

    def tidy(text: str) -> str:
        return " ".join(unicodedata.normalize("NFC", text).split())

    assert [(row.sample, row.action, row.by, row.note) for row in read] == [
        (unicodedata.normalize("NFC", sample), action, tidy(by), tidy(note)) for sample, action, by, note in rows
    ]
    assert all(row.reason.startswith("override") for row in read)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_in_one_sentence(content: bytes) -> None:
    trouble = ""
    try:
        resolve_overrides(parsed(HEAD.encode() + content), SAMPLES, "overrides.csv")
    except UserError as error:
        trouble = str(error)
    assert "\n" not in trouble


# --- what the rows mean -----------------------------------------------------------------------------------------


def test_an_id_and_a_name_mean_the_same_image() -> None:
    by_id, by_name = found("b,relabel,v,mia,"), found("train/i/b.png,relabel, v ,mia,")
    assert by_id == by_name == {"b": Override("v", "override by mia", "mia")}
    assert found("a,keep", " q ,drop") == {
        "a": Override("i", "override", "unnamed"),
        "q": Override(None, "override", "unnamed"),
    }


def test_odd_names_are_found_in_any_unicode_form() -> None:
    composed, name = "é", 'train/é/"old", 1\n2.png '
    rows = [source("k", composed, name=name), *(source(other, composed) for other in ("l", "m")), *ROWS]
    samples = samples_table(rows, [composed, *CLASSES])
    decomposed = unicodedata.normalize("NFD", name).replace('"', '""')
    assert decomposed != name
    assert found(f'"{decomposed}",drop', samples=samples) == {"k": Override(None, "override", "unnamed")}
    assert found("a,relabel,e\u0301", samples=samples) == {"a": Override(composed, "override", "unnamed")}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["", "nobody,drop"], "line 3: 'nobody' is no train or val image of this source; delete the row, or look"),
        (["i/b.png,drop"], r"line 2: 'i/b\.png' is no train or val .*; did you mean 'train/i/b\.png'\?"),
        (["train/i/bb.png,drop"], r"line 2: .*; did you mean 'train/i/b+\.png'\?"),
        (["test/i/a.png,drop"], "line 2: 'test/i/a.png' is no train or val image .* the test set; delete the row"),
        (["val/i/a.png,drop"], r"line 2: .*; (?!did you mean 'train)"),
        (["a,drop", "<<<<<<< HEAD", "b,drop"], "line 3: a merge conflict; keep the rows you want, delete the marks"),
        (
            ["x,keep"],
            "line 2: 'x' is an image of the label book, which is trusted; delete the row, and mend the source",
        ),
        (["label_book/i/x.png,drop"], "line 2: 'label_book/i/x.png' is an image of the label book"),
        (["a,relabel,iv"], "line 2: 'iv' is no class of this source; write one of 'i', 'ii', 'v'"),
        (["a,relabel,I"], "line 2: 'I' is no class"),
        (
            ["g,drop", "a,keep", "h,relabel,i"],
            "line 4: leaves no train image of class 'v', 2 must stay; delete the row",
        ),
        (["g,drop"], "line 2: leaves 1 train image of class 'v', 2 must stay; delete the row"),
        (["p,drop", "q,drop", "r,drop", "a,keep"], "line 4: leaves no val image, 1 must stay; delete the row"),
    ],
)
def test_a_row_that_cannot_be_applied_is_refused(lines: list[str], message: str) -> None:
    with pytest.raises(UserError, match=f"overrides.csv, {message}") as caught:
        found(*lines)
    assert "\n" not in str(caught.value)


def test_another_number_is_no_suggestion_for_an_image_that_may_be_in_the_test_set() -> None:
    rows = [source(f"{number}", "i", name=f"i/{number:04}.png") for number in (1, 3, 9)]
    with pytest.raises(
        UserError, match=r"'i/0007\.png' is no train or val image of this source; delete the row, or look"
    ):
        found("i/0007.png,drop", samples=samples_table([*rows, *ROWS], CLASSES))


def test_many_classes_are_not_all_named() -> None:
    samples = samples_table(ROWS, [*CLASSES, *(f"c{n}" for n in range(20))])
    with pytest.raises(UserError, match=r"write one of 'i', 'ii', 'v', 'c0', .*'c6' and 13 more$"):
        found("a,relabel,iv", samples=samples)


def test_the_last_row_about_an_image_counts_whichever_name_it_has() -> None:
    assert found("a,drop,,mia,", "b,keep,,mia,", "train/i/a.png,relabel,v,tom,") == {
        "a": Override("v", "override by tom", "tom"),
        "b": Override("i", "override by mia", "mia"),
    }


def test_undo_takes_back_what_was_said_and_what_was_said_before_does_not_come_back() -> None:
    assert found("a,drop", "a,relabel,v", "train/i/a.png,undo", "b,drop") == {
        "b": Override(None, "override", "unnamed")
    }
    assert found("a,drop", "a,undo", "a,keep") == {"a": Override("i", "override", "unnamed")}
    assert found("a,undo") == {}


EARLY, LATE = "2026-11-27T09:00:00.000001Z", "2026-11-27T10:00:00.000002+01:00"  # which is a microsecond later


def test_of_two_rows_with_times_the_later_time_counts_and_else_the_later_line() -> None:
    later, earlier = f"a,relabel,v,,,{LATE}", f"a,drop,,,,{EARLY}"
    for lines in ([later, earlier], [earlier, later]):
        assert found(*lines)["a"].label == "v"
    assert found(later, "a,drop")["a"].label is None
    assert found("a,drop", earlier.replace("drop,", "relabel,ii"))["a"].label == "ii"
    assert found(later, later.replace(",v,", ",ii,"))["a"].label == "ii"
    assert found(later, "a,drop", earlier.replace("drop,", "relabel,ii"))["a"].label is None  # below the latest


def test_a_row_that_counts_no_more_may_name_a_class_that_is_gone_and_one_taken_back_an_image_that_is_gone() -> None:
    assert found("a,relabel,gone", "a,relabel,v")["a"].label == "v"
    assert found("a,relabel,gone", "a,undo") == {}
    assert found("gone,drop", "gone,undo") == {}
    with pytest.raises(UserError, match="line 4: 'gone' is no train or val image"):
        found("gone,drop", "gone,undo", "gone,keep")


def test_an_image_that_changed_since_is_told_and_decided_on_all_the_same() -> None:
    seen, other = "0123456789abcdef" * 2, "f" * 32
    rows = [row | {"pixel_hash": seen} if row["id"] in "abc" else row for row in ROWS]
    said = f"a,drop,,,,,{seen}\nb,drop,,,,,{other.upper()}\nc,keep,,,,{EARLY},\n"
    decisions = resolve_overrides(parsed(HEAD + said), samples_table(rows, CLASSES), "overrides.csv")
    assert {one: (decision.label, decision.stale) for one, decision in decisions.items()} == {
        "a": (None, False),
        "b": (None, True),
        "c": ("i", False),
    }
    assert stale_text(decisions).startswith("; 1 of them on another picture than the image is now")
    assert stale_text({"a": decisions["a"]}) == ""


@pytest.mark.parametrize("cells", ["yesterday", "never,", ",no-hash", f"{EARLY},abc", f"{EARLY},{'a' * 32},more"])
def test_what_is_no_time_and_no_hash_is_refused(cells: str) -> None:
    with pytest.raises(
        UserError, match=r"line 2: [678] cells for 5 columns, and what follows is no time and hash; put"
    ):
        parsed(f"{HEAD}a,drop,,mia,,{cells}\n")


def test_a_second_header_is_passed_over_and_a_row_may_have_a_time_below_the_old_one() -> None:
    text = f"{HEAD}a,drop,,,\n{','.join(HEADER)}\nb,drop,,,,{EARLY},\n{HEAD}c,keep,,,,{LATE},{'a' * 32}\n"
    assert [(row.line, row.sample, row.time) for row in parsed(text)] == [
        (2, "a", ""),
        (4, "b", EARLY),
        (6, "c", LATE),
    ]


def test_a_class_may_be_emptied_where_others_take_the_place() -> None:
    assert len(found("g,drop", "h,drop", "a,relabel,v", "b,relabel,v")) == 4
    assert len(found("p,drop", "q,drop")) == 2


def test_without_rows_the_dataset_is_not_even_read(tmp_path: Path) -> None:
    (tmp_path / "overrides.csv").write_text(HEAD)
    assert read_overrides_csv(tmp_path / "overrides.csv", tmp_path / "nowhere") == {}


@pytest.mark.parametrize("days", list(itertools.permutations([1, 2, 3, None])))
def test_of_rows_with_a_time_the_latest_counts_and_one_without_only_below_it(days: tuple[int | None, ...]) -> None:
    times = ["" if day is None else f"2026-01-0{day}T00:00:00Z" for day in days]
    rows = [DecisionRow(line, "a", DROP, time=time) for line, time in enumerate(times, 2)]
    below = days.index(None) > days.index(3)
    assert last_of(rows) is rows[days.index(None if below else 3)]


def test_of_rows_with_the_same_time_or_none_the_last_counts() -> None:
    for time in ("", "2026-01-01T00:00:00Z"):
        rows = [DecisionRow(line, "a", DROP, time=time) for line in (2, 3, 4)]
        assert last_of(rows) is rows[2]


def test_a_name_of_corrections_csv_may_be_copied_with_its_apostrophe() -> None:
    names = ["=1+1/a.png", "-x/b.png", "'tis/c.png", "plain/d.png"]
    rows = [source(f"id{number}", "i", name=name) for number, name in enumerate(names)]
    rows += [source(f"more{number}", label) for number, label in enumerate(["i", "i", "=v", "=v", "-1", "-1"])]
    samples = samples_table([*rows, source("val", "i", "val"), source("val2", "i", "val")], ["i", "=v", "-1"])
    cells = [(disarmed(name), "'=v") for name in names[:3]] + [("plain/d.png", "-1")]
    assert [cell for cell, _ in cells] == ["'=1+1/a.png", "'-x/b.png", "''tis/c.png", "plain/d.png"]
    content = "".join(f"{name},relabel,{label}\n" for name, label in cells)
    said = resolve_overrides(parse_decision_rows(io.BytesIO((HEAD + content).encode()), "o"), samples, "o")
    assert {identifier: one.label for identifier, one in said.items()} == {
        "id0": "=v",
        "id1": "=v",
        "id2": "=v",
        "id3": "-1",
    }


def test_what_is_written_counts_before_what_an_apostrophe_may_mean() -> None:
    rows = [source("first", "i", name="'a/x.png"), source("second", "i", name="a/x.png"), source("third", "i")]
    samples = samples_table([*rows, source("fourth", "i"), source("fifth", "i")], ["i", "v"])
    (said,) = resolve_overrides(parse_decision_rows(io.BytesIO(f"{HEAD}'a/x.png,drop\n".encode()), "o"), samples, "o")
    assert said == "first"
