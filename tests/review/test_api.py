"""What the server answers."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from tests.review.conftest import PORT, TOKEN
from tests.support.datasets import CLASSES
from tests.support.review_client import items, post
from tests.support.reviews import HEADER, Run
from winnow.review.app import make_app
from winnow.review.applying import Applying
from winnow.review.decisions import Decisions
from winnow.review.estimate import draw_sample
from winnow.review.session import Session
from winnow.verdicts.decisions import Decision
from winnow.verdicts.ledger import VERDICT_SCHEMA, write_ledger


def test_the_state(client: TestClient) -> None:
    state = client.get("/api/state").json()
    assert (state["classes"], state["by"], state["missing"]) == (CLASSES, "mia", [])
    assert [(one["name"], one["items"], one["decided"]) for one in state["tasks"]] == [
        ("refine", 30, 0),
        ("label_book", 3, 0),
        ("test", 6, 0),
    ]
    assert state["estimate"] == {
        "of": 20,
        "sampled": 0,
        "faults": 0,
        "share": None,
        "low": None,
        "high": None,
        "later": 0,
    }


def test_the_state_tells_repositories_apart(run: Run, session: Session, tmp_path: Path) -> None:
    other = run.copy(tmp_path / "other")
    (tmp_path / "link").symlink_to(run.root)
    key = session.state()["repository"]
    assert Session(tmp_path / "link", by="").state()["repository"] == key
    assert Session(other.root, by="").state()["repository"] != key


def test_an_item(client: TestClient, run: Run) -> None:
    identifier = run.refine[4]
    probabilities = [0.2, 0.5, 0.3]
    first = dict.fromkeys(run.ids.values(), probabilities)
    run.set_signals(np.random.default_rng(1), first=first, quality={one: 0.25 for one in run.refine})
    run.set_refined({identifier: None})
    session = Session(run.root, by="")
    (item,) = [one for one in session.queue("refine")["items"] if one["id"] == identifier]
    why = item.pop("why")
    assert why in ("near the threshold", "contradiction")
    assert item == {
        "id": identifier,
        "name": "train/ii/4.png",
        "hash": session.image(identifier).pixel_hash,
        "split": "train",
        "given": "ii",
        "label": None,
        "support": 0.25,
        "group": None,
        "likely": [
            {"label": "ii", "probability": 0.5},
            {"label": "iii", "probability": 0.3},
            {"label": "i", "probability": 0.2},
        ],
        "decision": None,
        "stale": False,
        "seen": None,
    }


def test_a_decision_and_its_undo(client: TestClient, run: Run) -> None:
    identifier = run.refine[0]
    answer = post(client, identifier, "relabel", "iii").json()
    assert (answer["decision"]["action"], answer["decision"]["label"], answer["decision"]["by"]) == (
        "relabel",
        "iii",
        "mia",
    )
    assert (answer["undone"], answer["decided"]) == (False, 1)
    (item,) = [one for one in items(client) if one["id"] == identifier]
    assert item["decision"] == answer["decision"]
    answer = post(client, identifier, "undo").json()
    assert (answer["decision"], answer["undone"], answer["decided"]) == (None, True, 0)
    assert post(client, identifier, "undo").json()["undone"] is False
    assert len(run.rows()) == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"action": "throw"}, "the action must be one of"),
        ({"action": "relabel", "label": "iv"}, "'iv' is no class"),
        ({"action": "relabel", "label": "I"}, "'I' is no class"),
        ({"action": "relabel"}, "a label goes with relabel"),
        ({"action": "keep", "label": "i"}, "a label goes with relabel"),
        ({"action": "drop", "task": "test"}, "there is no image"),
        ({"action": "drop", "task": "nothing"}, "the task must be one of"),
        ({"action": "drop", "id": "0" * 16}, "there is no image"),
        ({"action": "drop", "id": 5}, "id must be a text"),
        ({"action": "drop", "id": None}, "id must be a text"),
        ({"action": "drop", "note": "x" * 3000}, "the note may have 2000 characters"),
        ({"action": "drop", "note": ["x"]}, "note must be a text"),
    ],
)
def test_what_makes_no_sense_is_not_written(client: TestClient, run: Run, body: dict[str, Any], told: str) -> None:
    answer = client.post("/api/decisions", json={"task": "refine", "id": run.refine[0], **body})
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert run.overrides.read_text() == HEADER


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 30_000, b'{"a": "' + b"x" * 70_000 + b'"}'])
def test_a_body_that_is_no_decision(client: TestClient, run: Run, content: bytes) -> None:
    answer = client.post("/api/decisions", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert run.overrides.read_text() == HEADER


def test_a_form_of_another_site_is_not_taken(client: TestClient, run: Run) -> None:
    answer = client.post("/api/decisions", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
    assert run.overrides.read_text() == HEADER


def test_a_file_with_merge_marks_is_told_of_and_left_alone(client: TestClient, run: Run) -> None:
    run.overrides.write_text(f"{HEADER}<<<<<<< HEAD\n")
    for answer in (post(client, run.refine[0], "drop"), client.get("/api/state"), client.get("/api/queue")):
        assert answer.status_code == 409
        assert "a merge conflict" in answer.json()["error"]
    assert run.overrides.read_text() == f"{HEADER}<<<<<<< HEAD\n"


def test_two_clients_see_one_another(client: TestClient, run: Run) -> None:
    since = client.get("/api/state").json()["since"]
    session = Session(run.root, by="tom")
    app = make_app(session, Applying(run.root), token=TOKEN, port=PORT)
    other = TestClient(app, base_url=f"http://127.0.0.1:{PORT}", headers={"X-Winnow-Token": TOKEN})
    post(client, run.refine[0], "drop")
    post(other, run.refine[1], "relabel", "iii")
    post(other, run.ids["test/i/0.png"], "keep", task="test")
    changes = client.get(f"/api/changes?since={since}").json()
    told = {one: decision["by"] for one, decision in changes["decisions"].items()}
    assert told == {run.refine[0]: "mia", run.refine[1]: "tom", run.ids["test/i/0.png"]: "tom"}
    post(other, run.refine[0], "undo")
    again = client.get(f"/api/changes?since={changes['since']}").json()
    assert again["decisions"] == {run.refine[0]: None}
    assert [again["tasks"][task]["decided"] for task in ("refine", "label_book", "test")] == [1, 0, 1]
    last = client.get(f"/api/changes?since={again['since']}").json()
    assert last == {"decisions": {}, "stale": {}, "tasks": {}, "since": again["since"]}


def test_what_is_decided_while_changes_are_gathered_is_told_once_it_counts(
    run: Run, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are read one after the other; here somebody decides between the two."""
    since, now, once = session.state()["since"], Decisions.now, iter([True])

    def then_decided(file: Decisions) -> Mapping[str, Decision]:
        found = now(file)
        if next(once, False):
            session.decide("refine", run.refine[0], "drop", None, "")
        return found

    monkeypatch.setattr(Decisions, "now", then_decided)
    first = session.changes(since)
    second = session.changes(first["since"])
    told = {**first["decisions"], **second["decisions"]}
    assert told[run.refine[0]]["action"] == "drop"


def test_an_undo_names_the_row_that_it_takes_back(client: TestClient, run: Run) -> None:
    time = post(client, run.refine[0], "keep").json()["decision"]["time"]
    after = post(client, run.refine[0], "drop").json()["decision"]["time"]
    body = {"task": "refine", "id": run.refine[0], "action": "undo"}
    answer = client.post("/api/decisions", json=body | {"taken": time})
    assert answer.status_code == 412
    assert "nothing was taken back" in answer.json()["error"]
    answer = client.post("/api/decisions", json=body | {"taken": after, "restored": time})
    assert answer.json()["decision"]["action"] == "keep"
    assert len(run.rows()) == 3


def test_a_decision_that_waited_names_the_row_that_it_overwrites(client: TestClient, run: Run) -> None:
    time = post(client, run.refine[0], "keep").json()["decision"]["time"]
    body = {"task": "refine", "id": run.refine[0], "action": "drop"}
    answer = client.post("/api/decisions", json=body | {"former": "none"})
    assert answer.status_code == 412
    assert answer.json()["error"] == "mia decided on train/i/0.png since; this decision was not written"
    assert client.post("/api/decisions", json=body | {"former": time}).json()["decision"]["action"] == "drop"
    assert len(run.rows()) == 2


def test_changes_say_which_decisions_are_of_another_picture(client: TestClient, run: Run) -> None:
    since = client.get("/api/state").json()["since"]
    rows = [f"train/i/0.png,drop,,tom,,,{'ab' * 16}", "train/ii/1.png,drop,,tom,,,"]
    run.overrides.write_text("\n".join(["sample,action,label,by,note,time,hash", *rows, ""]))
    changes = client.get(f"/api/changes?since={since}").json()
    assert set(changes["decisions"]) == {run.ids["train/i/0.png"], run.ids["train/ii/1.png"]}
    assert changes["stale"] == {run.ids["train/i/0.png"]: None}  # that picture is not kept


@pytest.mark.parametrize("since", ["-1", "x", "1.5", "9" * 30, "\u0663"])
def test_a_number_that_no_answer_gave(client: TestClient, since: str) -> None:
    assert client.get("/api/changes", params={"since": since}).status_code == 400


def test_the_estimate_counts_the_sample_alone(client: TestClient, run: Run) -> None:
    sample = draw_sample(run.refine)
    other = next(one for one in run.refine if one not in sample)
    assert post(client, other, "drop").json()["estimate"]["sampled"] == 0
    post(client, sample[0], "keep")
    post(client, sample[1], "drop")
    given = {one["id"]: one["given"] for one in items(client)}
    wrong = next(name for name in CLASSES if name != given[sample[2]])
    estimate = post(client, sample[2], "relabel", wrong).json()["estimate"]
    assert (estimate["of"], estimate["sampled"], estimate["faults"]) == (20, 3, 2)
    assert client.get("/api/state").json()["estimate"] == estimate
    assert client.get("/api/changes").json()["tasks"]["refine"]["estimate"] == estimate
    estimate = post(client, sample[1], "undo").json()["estimate"]
    assert (estimate["sampled"], estimate["faults"], estimate["later"]) == (1, 0, 1)


def test_the_estimate_is_of_what_the_run_found_by_itself(run: Run) -> None:
    """Images decided on before it are corrected; a decision on another picture says nothing of this one."""
    decided = draw_sample(run.refine)[0]
    verdict: dict[str, Any] = {"id": decided, "round": "r0", "stage": "decided", "action": "keep", "label_before": "i"}
    verdict |= {"label_after": "i", "reason": "override", "evidence": [], "by": "mia"}
    write_ledger(run.root / "data/r1/gate/dataset", pa.Table.from_pylist([verdict], schema=VERDICT_SCHEMA))
    session = Session(run.root, by="mia")
    assert session.decide("refine", decided, "keep", None, "")["estimate"]["sampled"] == 0
    first = draw_sample([one for one in run.refine if one != decided])[0]
    name = session.image(first).name
    run.overrides.write_text(f"sample,action,label,by,note,time,hash\n{name},drop,,tom,,,{'ab' * 16}\n")
    assert session.state()["estimate"]["sampled"] == 0
    assert session.decide("refine", first, "keep", None, "")["estimate"]["sampled"] == 1


def test_without_the_accepted_dataset_there_is_no_estimate(run: Run) -> None:
    shutil.rmtree(run.root / "data/r1/gate/dataset")
    session = Session(run.root, by="mia")
    answers = [session.decide("refine", one, "keep", None, "") for one in run.refine]
    assert (answers[-1]["estimate"]["of"], answers[-1]["estimate"]["share"]) == (0, None)


def test_the_label_book_is_counted(client: TestClient, run: Run) -> None:
    book = [one["id"] for one in items(client, "label_book")]
    found = [post(client, one, "drop", task="label_book").json()["estimate"] for one in book]
    assert [(one["sampled"], one["faults"], one["share"], one["low"]) for one in found] == [
        (1, 1, None, None),
        (2, 2, None, None),
        (3, 3, 1.0, None),
    ]


def test_the_estimate_and_the_order_stay_when_decisions_are_applied(run: Run) -> None:
    """The accepted dataset is what the pipeline says; the refined one follows the decisions."""
    before = Session(run.root, by="")
    identifier = draw_sample(run.refine)[0]
    estimate = before.decide("refine", identifier, "drop", None, "")["estimate"]
    order = [one["id"] for one in before.queue("refine")["items"]]
    run.set_refined({identifier: None}, accepted=False)
    after = Session(run.root, by="")
    assert [one["id"] for one in after.queue("refine")["items"]] == order
    assert after.state()["estimate"] == estimate
    (item,) = [one for one in before.queue("refine")["items"] if one["id"] == identifier]  # read again
    assert item["label"] is None


def test_checked_images_go_to_a_file_of_their_own(client: TestClient, run: Run) -> None:
    for task, name in (("label_book", "label_book/i/0.png"), ("test", "test/ii/1.png")):
        answer = post(client, run.ids[name], "keep", task=task).json()
        assert answer["decided"] == 1
        estimate = answer["estimate"]
        assert (estimate["sampled"] + estimate["later"], estimate["faults"]) == (1, 0)
    assert run.overrides.read_text() == HEADER
    rows = (run.root / "checked.csv").read_text().splitlines()
    assert [one.split(",")[:2] for one in rows[1:]] == [["label_book/i/0.png", "keep"], ["test/ii/1.png", "keep"]]


def test_test_images_are_asked_about_without_what_a_model_says(client: TestClient) -> None:
    for item in items(client, "test"):
        assert (item["likely"], item["support"], item["why"]) == ([], None, "test")
        assert client.get(f"/api/evidence/{item['id']}").json()["neighbours"] == []


def test_applying_runs_once_and_tells_what_it_printed(run: Run, session: Session) -> None:
    gate = run.root / "gate"
    wait = f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    program = "\n".join(["import pathlib, time", "print('begun', flush=True)", wait, "print('ended')"])
    applying = Applying(run.root, [sys.executable, "-c", program])
    app = make_app(session, applying, token=TOKEN, port=PORT)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}", headers={"X-Winnow-Token": TOKEN}) as client:
        assert client.get("/api/apply").json() == {"running": False, "log": "", "ok": None}
        assert client.post("/api/apply").status_code == 202
        assert client.post("/api/apply").status_code == 200  # the same one goes on
        assert client.get("/api/apply").json()["running"] is True
        gate.touch()
        applying.wait()
        assert client.get("/api/apply").json() == {"running": False, "log": "begun\nended\n", "ok": True}


def test_an_application_that_fails_says_so(run: Run) -> None:
    applying = Applying(run.root, [sys.executable, "-c", "raise SystemExit('overrides.csv, line 3: no')"])
    applying.start()
    applying.wait()
    assert applying.state() == {"running": False, "log": "overrides.csv, line 3: no\n", "ok": False}


def test_ten_thousand_images(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", train=8000, val=2000)
    session = Session(run.root, by="mia")
    client = TestClient(
        make_app(session, Applying(run.root), token=TOKEN, port=PORT),
        base_url=f"http://127.0.0.1:{PORT}",
        headers={"X-Winnow-Token": TOKEN},
    )
    answer = client.get("/api/queue?task=refine")
    assert len(answer.content) < 3.8e6
    found = answer.json()["items"]
    assert sorted(one["id"] for one in found) == sorted(run.refine)
    assert sum(one["why"] == "random sample" for one in found) == 200
    assert post(client, found[0]["id"], "drop").json()["decided"] == 1
