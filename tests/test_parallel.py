"""The seam to many cores: order, progress, one thread a worker, errors that come through."""

import pytest
import torch

from winnow.parallel import run_jobs


def square(number: int, tick: object) -> tuple[int, int]:
    assert callable(tick)
    for _ in range(number):
        tick()
    return number * number, torch.get_num_threads()


def refuse(number: int, tick: object) -> int:
    raise ValueError(f"number {number} is off")


def test_results_come_in_job_order_from_single_thread_workers() -> None:
    assert run_jobs(square, [(3,), (1,), (2,)], steps=6, label="squares") == [(9, 1), (1, 1), (4, 1)]


def test_progress_counts_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    class Bar:
        def __init__(self, **_: object) -> None:
            self.n = 0

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            counted.append(self.n)

        def update(self, number: int) -> None:
            self.n += number

    monkeypatch.setattr("winnow.parallel.tqdm", Bar)
    run_jobs(square, [(3,), (4,)], steps=7, label="squares")
    assert counted == [7]


def test_a_failing_job_says_why() -> None:
    with pytest.raises(ValueError, match="number 5 is off"):
        run_jobs(refuse, [(5,)], steps=1, label="refused")
