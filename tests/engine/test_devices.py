"""Every CUDA device is used: each worker has one, dealt in turn. Devices are made up, as few machines have several."""

import os

import joblib
import pytest
import torch

from winnow.engine.devices import VISIBLE, WORKSPACE, deal_devices, devices, keep_to
from winnow.engine.jobs import run_jobs
from winnow.engine.local import LocalEngine
from winnow.engine.settings import Settings


@pytest.fixture
def three_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv(VISIBLE, raising=False)


def test_without_cuda_workers_have_no_device_and_are_as_many_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices() == []
    assert deal_devices(5, 2) == [None, None]
    assert deal_devices(1, 2) == [None]


@pytest.mark.usefixtures("three_devices")
@pytest.mark.parametrize(
    ("jobs", "cores", "dealt"),
    [
        (9, 7, ["0", "1", "2", "0", "1", "2", "0"]),
        (9, 2, ["0", "1", "2"]),  # fewer cores than devices
        (2, 8, ["0", "1"]),
        (0, 8, []),
    ],
)
def test_devices_are_dealt_in_turn_to_no_fewer_workers_than_devices(jobs: int, cores: int, dealt: list[str]) -> None:
    assert deal_devices(jobs, cores) == dealt


@pytest.mark.usefixtures("three_devices")
def test_a_choice_of_devices_by_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "5, GPU-8932f937,2,99")  # CUDA knows three of them
    assert deal_devices(4, 4) == ["5", "GPU-8932f937", "2", "5"]


def test_no_device_leaves_the_environment_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "0,1")
    monkeypatch.delenv(WORKSPACE, raising=False)
    keep_to(None)
    assert os.environ[VISIBLE] == "0,1"
    assert WORKSPACE not in os.environ


def seen(number: int, tick: object) -> tuple[str | None, bool, int]:
    return os.environ.get(VISIBLE), WORKSPACE in os.environ, os.getpid()


@pytest.mark.usefixtures("three_devices")
def test_a_worker_sees_its_own_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    found = run_jobs(seen, [(number,) for number in range(3)], steps=0, label="seen")
    assert [(device, configured) for device, configured, _ in found] == [("0", True), ("1", True), ("2", True)]
    assert len({process for *_, process in found}) == 3
    assert VISIBLE not in os.environ


@pytest.mark.usefixtures("three_devices")
@pytest.mark.parametrize(("cores", "workers"), [(None, 3), (2, 2), (1, 1), (5, 5)])
def test_cores_of_the_settings_cap_the_workers(
    monkeypatch: pytest.MonkeyPatch, cores: int | None, workers: int
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    assert LocalEngine(Settings(cores=cores), 9, "math").capacity == workers
