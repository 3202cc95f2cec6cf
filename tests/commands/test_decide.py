"""Decisions that a file brings are checked as a whole, appended once, and merged with those that are there."""

from pathlib import Path

import pytest

from tests.support.runs import Row, Run
from winnow.commands.decide import answer
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import samples_table
from winnow.pipeline.messages import UserError, shown
from winnow.pipeline.spreadsheet import disarmed
from winnow.verdicts.checked_csv import read_checked_csv
from winnow.verdicts.decision_rows import HEADER, read_decision_rows
from winnow.verdicts.overrides_csv import read_overrides_csv

CLASSES = ["=1+1", "ii", "iii"]
NEW = ",".join(HEADER)
OLD = "sample,action,label,by,note"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path, classes=CLASSES, file_name='{number} "a", b.png').write()
    run.path("overrides.csv").write_text(f"{OLD}\n")
    return run


def line(row: Row, action: str, label: str = "", *, by: str = "mia", time: str = "", digest: str = "") -> str:
    cells = [disarmed(row["name"]), action, disarmed(label), disarmed(by), "", time, digest or row["pixel_hash"]]
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


def file(run: Run, *lines: str, name: str = "mail.csv", header: str = NEW) -> str:
    run.path(name).write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return str(run.path(name))


def decided(run: Run) -> dict[str, str | None]:
    found = read_overrides_csv(run.path("overrides.csv"), run.path("data/prepared"))
    return {identifier: one.label for identifier, one in found.items()}


def test_rows_are_added_once_and_mean_what_they_meant(run: Run) -> None:
    first, second, third, *_ = run.suspects
    mail = file(
        run,
        line(first, "drop", time="2026-11-27T10:00:00.000001Z"),
        line(second, "relabel", "=1+1", by="=mia", time="2026-11-27T10:00:00.000002Z"),
        line(third, "keep", time="2026-11-27T10:00:00.000003Z"),
    )
    text, code = answer([mail], run.folder)
    assert code == 0
    assert text.splitlines() == [
        "overrides.csv: 3 rows added, 0 there already",
        "`winnow apply` carries them out",
    ]
    assert decided(run) == {first["id"]: None, second["id"]: "=1+1", third["id"]: third["label"]}
    content = run.path("overrides.csv").read_bytes()
    assert b",'=1+1,'=mia," in content
    assert answer([mail, mail], run.folder)[0] == "overrides.csv: 0 rows added, 6 there already"
    assert run.path("overrides.csv").read_bytes() == content


def test_two_files_of_two_people_are_joined_and_the_later_decision_counts(run: Run) -> None:
    first, second, *_ = run.suspects
    file(run, line(first, "drop", time="2026-11-27T10:00:00Z"), name="overrides.csv")
    one = file(run, line(first, "keep", by="tom", time="2026-11-27T09:00:00Z"), name="one.csv")
    two = file(run, line(second, "drop", by="eva", time="2026-11-27T09:00:00Z"), name="two.csv")
    answer([one, two], run.folder)
    assert decided(run) == {first["id"]: None, second["id"]: None}
    three = file(run, line(first, "undo", by="tom", time="2026-11-27T11:00:00Z"), name="three.csv")
    answer([three], run.folder)
    assert decided(run) == {second["id"]: None}
    four = file(run, line(second, "keep", time="2026-11-27T12:00:00Z", digest="0" * 32), name="four.csv")
    text = answer([four], run.folder)[0]
    assert f"other than what was decided before, and later: {second['name']!r}" in text
    assert f"decided on another picture than the image is now, look at them again: {second['name']!r}" in text


def test_rows_older_than_what_is_there_are_counted_and_nothing_is_promised_for_them(run: Run) -> None:
    first, second, third, *_ = run.suspects
    there = [line(one, "drop", time="2026-11-27T10:00:00Z") for one in (first, second)]
    file(run, *there, line(third, "drop", time="2026-11-27T10:00:00Z"), name="overrides.csv")
    mail = file(
        run,
        line(first, "keep", time="2026-11-27T09:00:00Z"),
        line(first, "undo", time="2026-11-27T09:30:00Z"),
        f"{second['id']},keep,,tom,,2026-11-27T09:00:00Z",
    )
    assert answer([mail], run.folder)[0].splitlines() == [
        "overrides.csv: 3 rows added, 0 there already",
        "older than what overrides.csv has, and so of no effect: 3",
    ]
    assert set(decided(run).values()) == {None}
    later = [line(third, action, time=f"2026-11-27T1{hour}:00:00Z") for hour, action in ((1, "keep"), (2, "undo"))]
    text = answer([file(run, *later, line(first, "keep", by="eva", time="2026-11-27T09:00:00Z"))], run.folder)[0]
    assert "so of no effect: 1\n" in text
    assert text.endswith("`winnow apply` carries them out")
    assert decided(run).keys() == {first["id"], second["id"]}


def test_an_undo_that_removes_a_decision_is_named(run: Run) -> None:
    first, second, *_ = run.suspects
    there = [line(one, "drop", time="2026-11-27T10:00:00Z") for one in (first, second)]
    file(run, *there, name="overrides.csv")
    mail = file(
        run,
        line(first, "undo", by="tom", time="2026-11-27T11:00:00Z"),
        line(second, "undo", by="tom", time="2026-11-27T09:00:00Z"),
    )
    assert answer([mail], run.folder)[0].splitlines() == [
        "overrides.csv: 2 rows added, 0 there already",
        "older than what overrides.csv has, and so of no effect: 1",
        f"decided before, and now taken back: {first['name']!r}",
        "`winnow apply` carries them out",
    ]
    assert decided(run).keys() == {second["id"]}


def test_rows_about_the_label_book_and_test_images_go_to_checked_csv(run: Run) -> None:
    book = next(row for row in run.samples if row["split"] == "label_book")
    tested = run.suspects[0] | {"id": "0" * 16, "name": f"test/{CLASSES[0]}/'a.png", "split": "test"}
    pictures = [(tested["id"], run.images[run.suspects[0]["id"]])]
    write_dataset(run.path("data/test"), samples_table([tested], CLASSES), images=pictures)
    lines = [line(run.suspects[1], "drop"), line(book, "relabel", "=1+1"), line(tested, "keep")]
    mail = file(run, *lines, line(tested, "drop", digest="0" * 32))
    assert answer([mail], run.folder)[0].splitlines() == [
        "overrides.csv: 1 row added, 0 there already",
        "`winnow apply` carries them out",
        "checked.csv: 3 rows added, 0 there already",
        f"decided on another picture than the image is now, look at them again: {shown(tested['name'])}",
    ]
    assert decided(run) == {run.suspects[1]["id"]: None}
    places = [run.path(name) for name in ("checked.csv", "data/prepared", "data/test")]
    found = {identifier: one.label for identifier, one in read_checked_csv(*places).items()}
    assert found == {book["id"]: "=1+1", tested["id"]: None}
    before = [run.path(name).read_bytes() for name in ("overrides.csv", "checked.csv")]
    assert "checked.csv: 0 rows added, 3 there already" in answer([mail], run.folder)[0]
    assert answer([file(run, lines[2])], run.folder)[0] == "checked.csv: 0 rows added, 1 there already"
    with pytest.raises(UserError, match=r"mail.csv, line 3: 'x' is no class"):
        answer([file(run, line(run.suspects[2], "drop"), line(tested, "relabel", "x"))], run.folder)
    assert [run.path(name).read_bytes() for name in ("overrides.csv", "checked.csv")] == before


def test_rows_written_by_hand_need_no_time_and_are_not_added_twice(run: Run) -> None:
    row = run.suspects[0]
    mail = file(run, f"{row['id']},drop,,tom,blurred", header=OLD)
    assert "1 row added, 0 there already" in answer([mail], run.folder)[0]
    assert "0 rows added, 1 there already" in answer([mail], run.folder)[0]
    (written,) = read_decision_rows(run.path("overrides.csv"))
    assert (written.sample, written.note) == (row["id"], "blurred")
    assert written.time


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("train/i/nothing.png,drop", r"mail.csv, line 3: 'train/i/nothing.png' is no train or val image"),
        ("{id},relabel,ix,,", r"mail.csv, line 3: 'ix' is no class"),
        ("{id},maim,,,", r"mail.csv, line 3: the action must be one of"),
        ('{id},"drop', r"mail.csv, line 3: no CSV"),
    ],
)
def test_a_file_with_one_bad_row_changes_nothing(run: Run, bad: str, said: str) -> None:
    first, second, *_ = run.suspects
    mail = file(run, line(first, "drop"), bad.format(id=second["id"]))
    before = run.path("overrides.csv").read_bytes()
    with pytest.raises(UserError, match=said):
        answer([mail], run.folder)
    assert run.path("overrides.csv").read_bytes() == before


def test_files_that_only_together_empty_a_class_are_refused(run: Run) -> None:
    rows = [row for row in run.suspects if row["split"] == "train" and row["label"] == "ii"]
    halves = [rows[:3], rows[3:]]
    mails = [
        file(run, *(line(row, "drop") for row in half), name=f"{number}.csv") for number, half in enumerate(halves)
    ]
    before = run.path("overrides.csv").read_bytes()
    with pytest.raises(UserError, match=r"overrides.csv with the rows of .*0.csv, .*1.csv.* of class 'ii'"):
        answer(mails, run.folder)
    assert run.path("overrides.csv").read_bytes() == before


def test_rows_without_a_time_are_checked_as_they_will_stand(run: Run) -> None:
    """They get the present time as they are written, and then count more than older ones."""
    rows = [row for row in run.suspects if row["split"] == "train" and row["label"] == "ii"]
    by_hand = file(run, *(line(row, "drop") for row in rows[:3]), name="by-hand.csv")
    older = [line(row, "keep", time="2026-11-20T09:00:00Z") for row in rows[:3]]
    timed = file(run, *older, *(line(row, "drop", time="2026-11-20T09:00:00Z") for row in rows[3:]), name="timed.csv")
    before = run.path("overrides.csv").read_bytes()
    with pytest.raises(UserError, match="of class 'ii'"):
        answer([by_hand, timed], run.folder)
    assert run.path("overrides.csv").read_bytes() == before


def test_a_file_that_is_not_there_is_named(run: Run) -> None:
    with pytest.raises(UserError, match=r"nowhere.csv cannot be read \(No such file or directory\)"):
        answer([str(run.path("nowhere.csv"))], run.folder)


def test_who_decided_is_said_by_the_file(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    mail = file(run, line(run.suspects[0], "drop"))
    for options in ([mail, "--by", "tom"], [mail, mail, "--from", "fiftyone"]):
        with pytest.raises(SystemExit, match="2"):
            answer(options, run.folder)
    assert "--by belongs to --from" in capsys.readouterr().err
