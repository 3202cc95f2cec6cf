"""What all engines share, on an engine in this process: order, the bar, losses, errors."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from winnow.engine import jobs
from winnow.engine.jobs import coordinate, run_jobs
from winnow.engine.machine import facts
from winnow.engine.protocol import Answered, Event, Lost, Ticked
from winnow.engine.settings import Settings
from winnow.engine.worker import answer
from winnow.pipeline.messages import UserError


class InProcess:
    """The last job submitted runs first; what a script says is lost is lost after its ticks."""

    def __init__(
        self,
        capacity: int,
        shared: Path = Path(),
        losses: dict[int, int] | None = None,
        why: str = "was killed (signal 9)",
    ) -> None:
        self.capacity, self.shared = capacity, shared
        self.losses, self.why = dict(losses or {}), why
        self.open: list[tuple[int, bytes]] = []
        self.most, self.closed = 0, False
        self.submitted: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def submit(self, number: int, request: bytes) -> None:
        self.open.append((number, request))
        self.submitted.append(number)
        self.most = max(self.most, len(self.open))

    def events(self) -> Iterator[Event]:
        while self.open:
            number, request = self.open.pop()
            ticks: list[int] = []
            answered = answer(request, lambda ticks=ticks: ticks.append(1))  # type: ignore[misc]
            yield Ticked(number, len(ticks))
            if self.losses.get(number, 0):
                self.losses[number] -= 1
                yield Lost(number, self.why, "its last words")
            else:
                yield Answered(number, answered)


def count_to(number: int, tick: Any) -> int:
    for _ in range(number):
        tick()
    return number


def request(number: int) -> bytes:
    return pickle.dumps((count_to, (number,)))


def test_results_come_in_job_order_and_never_more_jobs_run_than_there_is_room_for() -> None:
    engine, moved = InProcess(3), list[int]()
    assert coordinate(engine, request, 7, moved.append) == list(range(7))
    assert engine.most == 3
    assert sorted(engine.submitted) == list(range(7))
    assert sum(moved) == sum(range(7))


def test_a_lost_job_runs_again_and_its_ticks_are_taken_back() -> None:
    engine, moved = InProcess(2, losses={3: 2}), list[int]()
    assert coordinate(engine, request, 5, moved.append) == list(range(5))
    assert engine.submitted.count(3) == 3
    assert moved.count(-3) == 2
    assert sum(moved) == sum(range(5))


def test_the_third_loss_of_one_job_stops_all_with_its_log() -> None:
    engine = InProcess(1, losses={1: 3, 2: 2})
    with pytest.raises(UserError, match=r"(?s)was killed \(signal 9\) before its job was done.*3rd.*its last words"):
        coordinate(engine, request, 3, lambda _: None)
    assert engine.submitted == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("why", "of_memory"), [("was killed (signal 9) on n1", True), ("was killed, since it took longer", False)]
)
def test_memory_is_named_only_where_it_may_be_the_cause(why: str, of_memory: bool) -> None:
    with pytest.raises(UserError) as raised:
        coordinate(InProcess(1, losses={0: 3}, why=why), request, 1, lambda _: None)
    assert ("when memory runs out" in str(raised.value)) == of_memory
    assert "run the same command again" in str(raised.value)


def refuse(tick: Any) -> None:
    raise KeyError("no such class")


def test_what_a_job_raises_is_raised_at_once() -> None:
    engine = InProcess(1)
    with pytest.raises(KeyError, match="no such class"):
        coordinate(engine, lambda _: pickle.dumps((refuse, ())), 3, lambda _: None)
    assert engine.submitted == [0]


class Interrupted(InProcess):
    def events(self) -> Iterator[Event]:
        yield Ticked(0)
        raise KeyboardInterrupt


def used(monkeypatch: pytest.MonkeyPatch, engine: InProcess, settings: Settings) -> None:
    monkeypatch.setattr(jobs, "open_engine", lambda *_: engine)
    monkeypatch.setattr(jobs, "load_settings", lambda: settings)


@pytest.mark.parametrize("name", ["local", "ray"])
def test_an_interrupt_closes_the_engine(monkeypatch: pytest.MonkeyPatch, name: Any) -> None:
    used(monkeypatch, engine := Interrupted(1), Settings(engine=name))
    with pytest.raises(KeyboardInterrupt):
        run_jobs(count_to, [(1,), (2,)], steps=3, label="count")
    assert engine.closed


def test_no_job_needs_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "open_engine", None)
    assert run_jobs(count_to, [], steps=0, label="count") == []


def other_facts() -> dict[str, str]:
    return {**facts(), "processor": "another"}


def test_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    used(monkeypatch, InProcess(1), Settings(engine="ray"))
    assert run_jobs(count_to, [(4,)], steps=4, label="count") == [4]
    monkeypatch.setattr(jobs, "facts", other_facts)
    with pytest.raises(UserError, match=r"would not give the same bytes: it has processor .* instead of 'another'"):
        run_jobs(count_to, [(4,)], steps=4, label="count")


@pytest.mark.parametrize(("other", "hint"), [("processor", False), ("device", True)])
def test_another_device_is_refused_with_the_setting_that_gives_one(
    monkeypatch: pytest.MonkeyPatch, other: str, hint: bool
) -> None:
    used(monkeypatch, InProcess(1), Settings(engine="ray"))
    monkeypatch.setattr(jobs, "facts", lambda: {**facts(), other: "another"})
    with pytest.raises(UserError, match=f"it has {other} ") as raised:
        run_jobs(count_to, [(4,)], steps=4, label="count")
    assert ("`gpus` says whether a job gets a device" in str(raised.value)) == hint


def test_another_machine_that_is_allowed_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    used(monkeypatch, InProcess(1), Settings(engine="ray", mixed="allow"))
    monkeypatch.setattr(jobs, "facts", other_facts)
    assert run_jobs(count_to, [(4,), (5,)], steps=9, label="count") == [4, 5]
    assert capsys.readouterr().err.count("instead of 'another'") == 1
