"""Of a long queue the page holds a part, and the rest is counted."""

import pytest

from tests.support.reviews import Run
from winnow.review import session as module
from winnow.review.session import Session


def test_the_first_open_images_are_listed_with_the_decided_ones_between_them(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(run.root, by="mia")
    every = [one["id"] for one in session.queue("refine")["items"]]
    monkeypatch.setattr(module, "MOST_OPEN", 4)
    assert session.queue("refine")["more"] == {"items": len(every) - 4, "decided": 0}
    for place in (1, 2, 9):
        session.decide("refine", every[place], "drop", None, "")
    queue = session.queue("refine")
    assert [one["id"] for one in queue["items"]] == every[:6]
    assert queue["more"] == {"items": len(every) - 6, "decided": 1}
    (task,) = [one for one in session.state()["tasks"] if one["name"] == "refine"]
    assert (task["items"], task["decided"]) == (len(every), 3)


def test_what_was_decided_on_another_picture_is_not_counted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(run.root, by="mia")
    every = [one["name"] for one in session.queue("refine")["items"]]
    monkeypatch.setattr(module, "MOST_OPEN", 4)
    rows = [f"{every[place]},drop,,tom,,,{digest}" for place, digest in ((0, ""), (1, "ab" * 16), (9, "ab" * 16))]
    run.overrides.write_text("\n".join(["sample,action,label,by,note,time,hash", *rows, ""]))
    queue = session.queue("refine")
    assert [one["name"] for one in queue["items"]] == every[:5]
    assert queue["more"] == {"items": len(every) - 5, "decided": 0}
    assert session.state()["tasks"][0]["decided"] == 1


def test_an_image_that_is_linked_to_is_listed_wherever_it_stands(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(run.root, by="mia")
    every = [one["id"] for one in session.queue("refine")["items"]]
    monkeypatch.setattr(module, "MOST_OPEN", 4)
    queue = session.queue("refine", every[-1])
    assert [one["id"] for one in queue["items"]] == [*every[:4], every[-1]]
    assert queue["more"]["items"] == len(every) - 5
    assert [one["id"] for one in session.queue("refine", every[0])["items"]] == every[:4]
    assert [one["id"] for one in session.queue("refine", "unknown")["items"]] == every[:4]
