"""Decisions as the file has them, while others write to it too."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.reviews import HEADER, Run, picture
from winnow.pipeline.messages import UserError
from winnow.review.decisions import NO_ROW, Decisions, OvertakenError
from winnow.review.records import REFINE, Image, read_records
from winnow.review.session import Session
from winnow.verdicts.decision_rows import read_decision_rows


def opened(run: Run, *, by: str = "mia") -> Decisions:
    records = read_records(run.root)
    images = [one for one in records.images.values() if one.task == REFINE]
    return Decisions(run.overrides, images, records.classes, by=by, journal=[])


def actions(decisions: Decisions) -> dict[str, str]:
    return {one: decision.row.action for one, decision in decisions.now().items()}


def test_a_decision_is_a_row_with_name_time_and_hash(run: Run, session: Session) -> None:
    before = datetime.now(UTC)
    identifier = run.refine[0]
    session.decide(REFINE, identifier, "relabel", "iii", "a note, with a comma")
    (row,) = read_decision_rows(run.overrides)
    image = session.image(identifier)
    assert (row.sample, row.action, row.label, row.by) == (image.name, "relabel", "iii", "mia")
    assert (row.note, row.hash) == ("a note, with a comma", image.pixel_hash)
    assert row.moment is not None
    assert before <= row.moment <= datetime.now(UTC)


def test_the_label_delivered_is_kept_not_given_anew(run: Run) -> None:
    decisions = opened(run)
    identifier = run.ids["train/i/0.png"]
    decision = decisions.decide(identifier, "relabel", "i", "")
    assert decision is not None
    assert (decision.row.action, decision.label) == ("keep", "i")


def test_the_last_decision_counts_and_undo_leaves_none(run: Run) -> None:
    decisions = opened(run)
    identifier = run.refine[0]
    decisions.decide(identifier, "drop", None, "")
    decisions.decide(identifier, "relabel", "iii", "")
    assert decisions.now()[identifier].label == "iii"
    assert decisions.decide(identifier, "undo", None, "") is None
    assert actions(decisions) == {}
    assert [row.action for row in read_decision_rows(run.overrides)] == ["drop", "relabel", "undo"]


def time_of(decisions: Decisions, identifier: str) -> str:
    return decisions.now()[identifier].row.time


def test_an_undo_does_not_take_back_what_somebody_else_decided_since(run: Run) -> None:
    mine, others = opened(run), opened(run, by="tom")
    identifier = run.refine[0]
    mine.decide(identifier, "keep", None, "")
    time = time_of(mine, identifier)
    others.decide(identifier, "drop", None, "")
    with pytest.raises(OvertakenError, match="tom decided on"):
        mine.take_back(identifier, time, restored=None)
    assert actions(mine) == {identifier: "drop"}
    assert mine.take_back(identifier, time_of(others, identifier), restored=None) is None
    assert [row.action for row in read_decision_rows(run.overrides)] == ["keep", "drop", "undo"]


def test_the_undo_of_an_overwrite_brings_back_what_it_overwrote(run: Run) -> None:
    mine, others = opened(run), opened(run, by="=tom")
    identifier = run.refine[0]
    others.decide(identifier, "drop", None, "blurred")
    before = time_of(others, identifier)
    mine.decide(identifier, "keep", None, "")
    time = time_of(mine, identifier)
    for _ in range(2):  # the answer was lost, and the page asks again
        decision = mine.take_back(identifier, time, restored=before)
        assert decision is not None
        assert (decision.row.action, decision.row.by, decision.row.note) == ("drop", "'=tom", "blurred")
    assert [row.action for row in read_decision_rows(run.overrides)] == ["drop", "keep", "drop"]
    assert mine.take_back(identifier, time_of(mine, identifier), restored=None) is None
    assert mine.take_back(identifier, time, restored=None) is None


def test_the_undo_of_a_decision_that_counted_already_takes_nothing_back(run: Run) -> None:
    """Such a decision wrote no row of its own: the page names the earlier one as both."""
    decisions = opened(run)
    identifier = run.refine[0]
    for _ in range(2):
        decisions.decide(identifier, "drop", None, "")
    time = time_of(decisions, identifier)
    decisions.take_back(identifier, time, restored=time)
    assert actions(decisions) == {identifier: "drop"}
    assert len(run.rows()) == 1


def test_a_decision_that_waited_does_not_overwrite_a_later_one(run: Run) -> None:
    mine, others = opened(run), opened(run, by="tom")
    first, second = run.refine[:2]
    others.decide(first, "keep", None, "")
    with pytest.raises(OvertakenError, match=r"tom decided on train/i/0\.png since"):
        mine.decide(first, "drop", None, "", former=NO_ROW)
    before = time_of(others, first)
    others.decide(first, "undo", None, "")
    with pytest.raises(OvertakenError, match="tom decided on"):
        mine.decide(first, "drop", None, "", former=before)
    assert [row.action for row in read_decision_rows(run.overrides)] == ["keep", "undo"]
    others.decide(second, "keep", None, "")
    before = time_of(others, second)
    for _ in range(2):  # the answer was lost, and the page asks again
        mine.decide(second, "drop", None, "", former=before)
    mine.decide(first, "drop", None, "", former=NO_ROW)
    assert actions(mine) == {first: "drop", second: "drop"}
    assert len(run.rows()) == 5


def test_a_request_that_is_sent_again_writes_no_second_row(run: Run) -> None:
    """The server answered, and the answer was lost."""
    decisions = opened(run, by="=mia  of the team")
    first, second = run.refine[:2]
    for _ in range(2):
        decisions.decide(first, "relabel", "iii", "a  note")
        decisions.decide(second, "drop", None, "=1+1")
    assert len(run.rows()) == 2
    decisions.decide(first, "relabel", "iii", "another note")
    opened(run, by="tom").decide(first, "relabel", "iii", "another note")
    assert len(run.rows()) == 4


def test_what_was_decided_on_another_picture_is_decided_anew(run: Run) -> None:
    run.overrides.write_text(f"sample,action,label,by,note,time,hash\ntrain/i/0.png,drop,,mia,,,{'ab' * 16}\n")
    decisions = opened(run)
    decision = decisions.decide(run.ids["train/i/0.png"], "drop", None, "")
    assert decision is not None
    assert not decision.stale
    assert len(run.rows()) == 2


def test_an_undo_of_nothing_writes_nothing(run: Run) -> None:
    assert opened(run).decide(run.refine[0], "undo", None, "") is None
    assert run.overrides.read_text() == HEADER


def test_a_decision_counts_although_another_machine_s_clock_is_ahead(run: Run) -> None:
    ahead = (datetime.now(UTC) + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    run.overrides.write_text(f"sample,action,label,by,note,time,hash\ntrain/i/0.png,drop,,tom,,{ahead},\n")
    decisions = opened(run)
    identifier = run.ids["train/i/0.png"]
    assert actions(decisions) == {identifier: "drop"}
    decisions.decide(identifier, "keep", None, "")
    assert actions(opened(run)) == {identifier: "keep"}


def test_two_tabs_see_one_another(run: Run) -> None:
    one, other = opened(run), opened(run, by="tom")
    for number, identifier in enumerate(run.refine[:10]):
        (one, other)[number % 2].decide(identifier, "drop", None, "")
    assert actions(one) == actions(other) == dict.fromkeys(run.refine[:10], "drop")
    assert len(run.rows()) == 10


def test_rows_that_an_editor_adds_changes_and_deletes(run: Run) -> None:
    decisions = opened(run)
    first, second, third = run.refine[:3]
    decisions.decide(first, "drop", None, "")
    decisions.decide(second, "drop", None, "")
    lines = run.overrides.read_text().splitlines()
    run.overrides.write_text("\n".join([lines[0], lines[1].replace("drop", "keep"), f"{third},drop,,tom,by hand"]))
    assert actions(decisions) == {first: "keep", third: "drop"}
    decisions.decide(second, "keep", None, "")  # the editor's last line had no end
    assert actions(decisions) == actions(opened(run)) == {first: "keep", second: "keep", third: "drop"}


def test_a_row_that_begins_in_the_part_read_before_is_read_whole(run: Run) -> None:
    decisions = opened(run)
    first, second = run.refine[:2]
    run.overrides.write_text(f"{HEADER}{first},drop")
    assert actions(decisions) == {first: "drop"}
    run.overrides.write_text(f"{HEADER}{first},drop,,tom,seen\n{second},keep\n")
    assert decisions.now()[first].row.note == "seen"
    assert actions(decisions) == {first: "drop", second: "keep"}


def test_a_file_saved_without_rows_that_it_had_is_kept_as_it_was(run: Run, session: Session) -> None:
    """An editor that opened the file before a decision was appended saves it without that."""
    before = run.overrides.read_bytes()
    session.decide(REFINE, run.refine[0], "drop", None, "")
    appended = run.overrides.read_bytes()
    run.overrides.write_bytes(before + b"train/ii/1.png,keep,,tom,\n")
    (copy,) = session.state()["replaced"]
    assert (run.root / copy).read_bytes() == appended


def test_appended_and_reordered_rows_need_no_copy(run: Run, session: Session) -> None:
    for identifier in run.refine[:3]:
        session.decide(REFINE, identifier, "drop", None, "")
    header, *rows = run.overrides.read_text().splitlines()
    run.overrides.write_text("\n".join([header, *rows[::-1], "train/i/9.png,keep,,tom,"]) + "\n")  # as git merges it
    assert session.state()["tasks"][0]["decided"] == 4
    assert session.state()["replaced"] == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("<<<<<<< HEAD", "a merge conflict"),
        ("train/i/0.png,throw,,mia,", "the action must be one of"),
        ("train/i/0.png,relabel,iv,mia,", "'iv' is no class"),
        ('train/i/0.png,drop,,mia,"open', "no CSV"),
    ],
)
def test_nothing_is_written_to_a_file_that_cannot_be_read(run: Run, line: str, told: str) -> None:
    decisions = opened(run)
    decisions.decide(run.refine[0], "drop", None, "")
    spoilt = run.overrides.read_text() + line + "\n"
    run.overrides.write_text(spoilt)
    for _ in range(2):
        with pytest.raises(UserError, match=told):
            decisions.decide(run.refine[1], "drop", None, "")
    assert run.overrides.read_text() == spoilt
    run.overrides.write_text("\n".join(spoilt.splitlines()[:-1]) + "\n")
    decisions.decide(run.refine[1], "drop", None, "")
    assert actions(decisions) == dict.fromkeys(run.refine[:2], "drop")


@pytest.mark.parametrize("bad", ["train/i/0.png,throw,,mia,", "train/i/0.png,relabel,iv,mia,"])
def test_an_appended_row_is_named_by_its_line_in_the_file(run: Run, bad: str) -> None:
    decisions = opened(run)
    for identifier in run.refine[:4]:
        decisions.decide(identifier, "drop", None, "")
    run.overrides.write_text(f"{run.overrides.read_text()}train/ii/1.png,keep,,mia,\n{bad}\n")
    with pytest.raises(UserError, match=r"overrides\.csv, line 7:"):
        decisions.now()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_told_of(run: Run, make: Callable[[Path], None]) -> None:
    run.overrides.unlink()
    make(run.overrides)
    with pytest.raises(UserError, match=r"overrides\.csv is no file"):
        opened(run).decide(run.refine[0], "drop", None, "")


def test_a_missing_file_is_made(run: Run) -> None:
    run.overrides.unlink()
    decisions = opened(run)
    assert actions(decisions) == {}
    decisions.decide(run.refine[0], "drop", None, "")
    assert actions(opened(run)) == {run.refine[0]: "drop"}


def test_rows_about_no_image_here_are_counted(run: Run, session: Session) -> None:
    run.overrides.write_text(
        f"{HEADER}train/i/999.png,drop,,tom,\nlabel_book/i/0.png,drop,,tom,\ntrain/i/0.png,drop,,,\n"
    )
    state = session.state()
    assert state["unknown_rows"]["overrides.csv"] == 2
    assert state["tasks"][0]["decided"] == 1


def test_names_that_differ_in_unicode_s_form_alone_are_called_by_their_ids(run: Run) -> None:
    composed, decomposed = "train/i/\u00e9.png", "train/i/e\u0301.png"
    images = [
        replace(next(iter(read_records(run.root).images.values())), id=digit * 16, name=name, split="train")
        for digit, name in (("a", composed), ("b", decomposed))
    ]
    decisions = Decisions(run.overrides, images, ["i", "ii"], by="", journal=[])
    for one in images:
        decisions.decide(one.id, "drop", None, "")
    assert actions(decisions) == {"a" * 16: "drop", "b" * 16: "drop"}


def odd_image(run: Run, name: str) -> Image:
    return replace(next(iter(read_records(run.root).images.values())), id="a" * 16, name=name, split="train")


@pytest.mark.parametrize(
    "name", ["train/i/=1+1.png", 'train/i/a,"b".png', "train/i/a\nb.png", "=cmd/x.png", " a/b .png"]
)
def test_odd_names(run: Run, name: str) -> None:
    images = [odd_image(run, name)]
    decisions = Decisions(run.overrides, images, ["i"], by="mia", journal=[])
    decisions.decide("a" * 16, "drop", None, "")
    again = Decisions(run.overrides, images, ["i"], by="mia", journal=[])
    assert actions(decisions) == actions(again) == {"a" * 16: "drop"}


def test_an_image_whose_bytes_changed_is_stale_and_its_old_picture_is_kept(run: Run, tmp_path: Path) -> None:
    name = "train/i/0.png"
    with_old = Session(run.root, by="mia")
    old = run.ids[name]
    with_old.decide(REFINE, old, "drop", None, "")
    with_old.keep_seen(old)
    seen = with_old.image(old).pixel_hash
    shown = with_old.pictures.small("data/prepared", old).content
    changed = Run(tmp_path / "changed")
    changed.rewrite({name: picture(999)})
    (changed.root / ".winnow").symlink_to(run.root / ".winnow")
    changed.overrides.write_bytes(run.overrides.read_bytes())
    session = Session(changed.root, by="mia")
    (item,) = [one for one in session.queue(REFINE)["items"] if one["name"] == name]
    assert item["id"] != old
    assert (item["stale"], item["seen"], item["decision"]["action"]) == (True, seen, "drop")
    picture_then = session.pictures.seen(seen)
    assert picture_then is not None
    assert picture_then.content == shown
    session.decide(REFINE, item["id"], "keep", None, "")
    (item,) = [one for one in session.queue(REFINE)["items"] if one["name"] == name]
    assert (item["stale"], item["seen"]) == (False, None)


def test_a_decision_without_a_hash_is_not_stale(run: Run, session: Session) -> None:
    run.overrides.write_text(f"{HEADER}train/i/0.png,drop,,tom,by hand\n")
    (item,) = [one for one in session.queue(REFINE)["items"] if one["name"] == "train/i/0.png"]
    assert (item["decision"]["by"], item["decision"]["time"], item["stale"]) == ("tom", None, False)
