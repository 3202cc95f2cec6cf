"""Decisions appended to a file: whole, lasting, by several writers at once, and merged by git without loss."""

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.imports import ROOT
from tests.support.workspace import NOBODYS_SETTINGS
from winnow.pipeline.messages import UserError
from winnow.verdicts.decision_rows import HEADER, DecisionRow, last_of, read_decision_rows
from winnow.verdicts.decisions_file import append_decision, append_decisions, write_decisions

OLD = "sample,action,label,by,note\n"
NEW = ",".join(HEADER) + "\n"
SEEN = "0123456789abcdef" * 2


def row(sample: str, action: str = "drop", label: str = "", **more: str) -> DecisionRow:
    return DecisionRow(0, sample, action, label, **more)


def read(file: Path) -> list[tuple[str, str]]:
    return [(one.sample, one.action) for one in read_decision_rows(file)]


def test_a_row_is_read_back_as_it_was_given_and_has_the_time(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    given = row('train/"v", 1.png', "relabel", "v", by="mia", note='said "v",\nand meant it', hash=SEEN)
    written = append_decision(file, given)
    assert file.read_text().startswith(NEW)
    (found,) = read_decision_rows(file)
    assert (found.sample, found.label, found.by, found.note, found.hash) == (
        given.sample,
        "v",
        "mia",
        'said "v", and meant it',
        SEEN,
    )
    assert found.time == written.time
    assert found.moment is not None


BEGINNINGS = {
    "missing": (None, []),
    "empty": ("", []),
    "a mark alone": ("\ufeff", []),
    "the header alone": (OLD, []),
    "no line end at the end": (OLD + "a,keep,,mia,", ["a"]),
    "a spreadsheet's": (
        "\ufeffsample,action,label,by,note,,\r\na,keep,,mia,,,\r\n,,,,,,\r\nb,drop,,,,,\r\n",
        ["a", "b"],
    ),
    "quoted, blank lines": ('\n\n"Sample","action","label","by","note"\n"a","keep"\n\n', ["a"]),
    "carriage returns alone": ("sample,action,label,by,note\ra,keep,,mia,\r", ["a"]),
    "with a time": (f"{NEW}a,keep,,mia,,2026-11-27T09:00:00Z,{SEEN}\n", ["a"]),
    "both headers": (f"{OLD}a,keep\n{NEW}b,keep,,,,2026-11-27T09:00:00Z,\n", ["a", "b"]),
}


@pytest.mark.parametrize("before", BEGINNINGS)
def test_whatever_people_and_spreadsheets_left_stays_and_the_header_gains_its_columns(
    tmp_path: Path, before: str
) -> None:
    file, (content, there) = tmp_path / "overrides.csv", BEGINNINGS[before]
    if content is not None:
        file.write_bytes(content.encode())
    for name in ("y", "z"):
        append_decision(file, row(name))
    assert [sample for sample, _ in read(file)] == [*there, "y", "z"]
    text = file.read_bytes().decode()
    assert ",".join(HEADER) in text
    lines = [line for line in (content or "").removeprefix("\ufeff").splitlines() if line and "ample" not in line]
    assert all(line in text.splitlines() for line in lines)
    assert text.startswith("\ufeff") == (content or "").startswith("\ufeff")
    assert ("\r\n" in text) == ("\r\n" in (content or ""))


@pytest.mark.parametrize(
    ("content", "one", "message"),
    [
        (OLD + 'a,keep,,,"open', row("b"), r"is no CSV \(unexpected end of data\); mend its quotes"),
        ("id,action\n", row("b"), "the columns must be sample,"),
        (OLD, row("b", "relabel"), "relabel needs a label"),
        (OLD, row("b", "hide"), "the action must be one of"),
        (OLD, row("b", by="winnow"), "by must name a person"),
        (OLD, row("b", time="yesterday"), "no time and hash"),
    ],
)
def test_what_would_not_be_read_again_is_refused_and_the_file_stays(
    tmp_path: Path, content: str, one: DecisionRow, message: str
) -> None:
    file = tmp_path / "overrides.csv"
    file.write_text(content)
    with pytest.raises(UserError, match=message):
        append_decision(file, one)
    assert file.read_text() == content


def test_text_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "overrides.csv").write_bytes(OLD.encode() + "a,keep,,jürgen,".encode("cp1252"))
    with pytest.raises(UserError, match="is no text in UTF-8"):
        append_decision(tmp_path / "overrides.csv", row("b"))


def test_a_spreadsheet_runs_nothing_that_was_appended(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    append_decision(file, row("=1+1/a.png", "relabel", "@v", by="-mia", note="=cmd()"))
    assert file.read_text().splitlines()[1].startswith("'=1+1/a.png,relabel,'@v,'-mia,'=cmd(),2")


def test_a_row_counts_over_an_earlier_one_whose_clock_was_ahead(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    first = append_decision(file, row("a", time="2999-01-01T00:00:00Z"))
    second = append_decision(file, row("a", "undo"))
    assert first.moment is not None
    assert second.moment is not None
    assert second.moment > first.moment


@pytest.mark.parametrize("between", ["", "b,keep,,,,2026-01-01T00:00:00Z,\n", "b,keep,,,\n"])
def test_it_counts_over_every_earlier_one_whatever_stands_between(tmp_path: Path, between: str) -> None:
    file = tmp_path / "overrides.csv"
    file.write_text(f"{NEW}a,drop,,,,2999-01-01T00:00:00Z,\n{between}")
    append_decisions(file, [row("c", time="2026-02-01T00:00:00Z"), row("a", "keep")])
    assert last_of(one for one in read_decision_rows(file) if one.sample == "a").action == "keep"


def test_after_the_last_time_of_all_no_row_can_come(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    file.write_text(content := f"{NEW}a,drop,,,,9999-12-31T23:59:59.999999Z,\n")
    with pytest.raises(UserError, match=r"has the time 9999-12-31T23:59:59\.999999.*correct it"):
        append_decision(file, row("b"))
    assert file.read_text() == content


def test_rows_are_appended_together_in_order_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    append_decisions(file, [row("a", "keep"), row("b"), row("a", "undo")])
    assert read(file) == [("a", "keep"), ("b", "drop"), ("a", "undo")]
    times = [one.moment for one in read_decision_rows(file)]
    assert all(one is not None for one in times)
    before = file.read_bytes()
    for bad in (row("c", "relabel"), row("c", time="yesterday")):
        with pytest.raises(UserError):
            append_decisions(file, [row("d"), bad])
        assert file.read_bytes() == before
    append_decisions(file, [])
    assert file.read_bytes() == before


def test_rows_are_copied_as_they_stand(tmp_path: Path) -> None:
    file, other = tmp_path / "overrides.csv", tmp_path / "decided.csv"
    append_decision(file, row("=a/b.png", note="=x", hash=SEEN))
    other.write_text("something else")
    write_decisions(other, read_decision_rows(file))
    assert other.read_bytes() == file.read_bytes()


def _append_many(file: str, who: str, count: int) -> None:
    for number in range(count):
        append_decision(Path(file), row(f"{who}{number}"))


def test_several_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_append_many, args=(str(file), who, 15)) for who in "abc"]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert sorted(sample for sample, _ in read(file)) == sorted(f"{who}{n}" for who in "abc" for n in range(15))
    for who in "abc":
        assert [sample for sample, _ in read(file) if sample[0] == who] == [f"{who}{n}" for n in range(15)]


def _append_and_tell(file: str, told: int) -> None:
    for number in range(10_000):
        append_decision(Path(file), row(f"a{number}"))
        os.write(told, b".")


def test_a_kill_loses_no_row_that_was_acknowledged(tmp_path: Path) -> None:
    file, (end, told) = tmp_path / "overrides.csv", os.pipe()
    writer = multiprocessing.get_context("fork").Process(target=_append_and_tell, args=(str(file), told))
    writer.start()
    acknowledged = sum(len(os.read(end, 1)) for _ in range(10))
    os.kill(writer.pid or 0, signal.SIGKILL)
    writer.join()
    os.close(told)
    while more := os.read(end, 4096):
        acknowledged += len(more)
    os.close(end)
    found = [sample for sample, _ in read(file)]
    assert found == [f"a{number}" for number in range(len(found))]
    assert acknowledged <= len(found) <= acknowledged + 1
    append_decision(file, row("z"))  # the lock went with the process
    assert read(file)[-1][0] == "z"


# --- git --------------------------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> None:
    settings = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, env={**os.environ, **NOBODYS_SETTINGS})


def by_program(file: Path, name: str) -> None:
    append_decision(file, row(f"{name}1"))
    append_decision(file, row("shared", by=name))


def by_hand(file: Path, name: str) -> None:
    file.write_bytes(file.read_bytes() + f"{name}1,drop,,,\nshared,keep,,{name},".encode())


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("overrides.csv", OLD),
        ("overrides.csv", OLD + "there,keep,,,\n"),
        ("decided.csv", NEW),
        ("checked.csv", NEW + "there,keep,,,,,\n"),
    ],
)
@pytest.mark.parametrize("ours", [by_program, by_hand])
@pytest.mark.parametrize("theirs", [by_program, by_hand])
def test_git_merges_what_two_people_decided(
    tmp_path: Path, name: str, start: str, ours: Callable[[Path, str], None], theirs: Callable[[Path, str], None]
) -> None:
    file = tmp_path / name
    (tmp_path / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    file.write_text(start)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", name, ".gitattributes")
    git(tmp_path, "commit", "--quiet", "--message", "start")
    git(tmp_path, "checkout", "--quiet", "-b", "theirs")
    theirs(file, "tom")
    git(tmp_path, "commit", "--quiet", "--all", "--message", "theirs")
    git(tmp_path, "checkout", "--quiet", "main")
    ours(file, "mia")
    git(tmp_path, "commit", "--quiet", "--all", "--message", "ours")
    git(tmp_path, "merge", "--quiet", "--no-edit", "theirs")
    there = ["there"] if "there" in start else []
    assert sorted(sample for sample, _ in read(file)) == sorted([*there, "mia1", "shared", "tom1", "shared"])
    append_decision(file, row("later"))
    assert read(file)[-1][0] == "later"
