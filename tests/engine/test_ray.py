"""The engine ray, with a Ray of this machine's own."""

import os
import pickle
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray._private import services
from ray._private.parameter import RayParams

from tests.support.engine_jobs import HEAD, announce_and_hang, fail, train_or_die, where
from winnow.engine import ray_start
from winnow.engine.jobs import coordinate, run_jobs
from winnow.engine.ray import RayEngine
from winnow.engine.settings import VARIABLE, Settings
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

pytestmark = pytest.mark.slow

HELPERS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def with_ports(init: Callable[..., None]) -> Callable[..., None]:
    """Parameters of Ray with ports for its helpers, since it waits not long for those that helpers find themselves."""

    def given(self: object, *arguments: Any, **options: Any) -> None:
        with ExitStack() as bound:
            taken = [bound.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in HELPERS]
            ports = [one.getsockname()[1] for one in taken]
        init(self, *arguments, **{**options, **dict(zip(HELPERS, ports, strict=True))})

    return given


def patient(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """It as it is, but for the 30 seconds after which Ray gives up its start; a busy machine may take longer."""

    def get_node_at_last(*arguments: Any) -> Any:
        for _ in range(2_000):
            with suppress(RuntimeError):
                return get_node(*arguments)
            time.sleep(0.1)
        return get_node(*arguments)

    return get_node_at_last


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """One for all tests here, of which nothing is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RayParams, "__init__", with_ports(RayParams.__init__))
        patch.setattr(services, "get_node", patient(services.get_node))
        with RayEngine(Settings(engine="ray", cores=2), 1):
            (folder,) = ray_start._folders
    family = psutil.Process().children(recursive=True)
    yield
    ray_start.end()
    assert not Path(folder).exists()
    assert psutil.wait_procs([one for one in family if folder in " ".join(words(one))], timeout=60)[1] == []


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def run(jobs: list[tuple[Any, ...]]) -> tuple[list[Any], list[int]]:
    """Results and movements of the bar."""
    moved: list[int] = []
    with RayEngine(Settings(engine="ray"), len(jobs)) as opened:
        results = coordinate(opened, lambda number: pickle.dumps(jobs[number]), len(jobs), moved.append)
    assert not opened.shared.exists()
    return results, moved


def test_a_training_gives_the_bytes_of_this_machine_though_a_worker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [(None, 0), (tmp_path / "marker", 1), (None, 2)]
    monkeypatch.setenv(VARIABLE, "ray")
    remote = run_jobs(train_or_die, jobs, steps=3 * HEAD.epochs, label="train")
    assert (tmp_path / "marker").exists()
    monkeypatch.setenv(VARIABLE, "local")
    local = run_jobs(train_or_die, jobs, steps=3 * HEAD.epochs, label="train")
    assert [{name: one.numpy().tobytes() for name, one in state.items()} for state in remote] == [
        {name: one.numpy().tobytes() for name, one in state.items()} for state in local
    ]


def test_ticks_of_a_killed_worker_are_taken_back(tmp_path: Path) -> None:
    _, moved = run([(train_or_die, (tmp_path / "marker", 1))])
    assert -1 in moved
    assert sum(moved) == HEAD.epochs


def test_jobs_run_in_the_repository_with_the_variables_of_the_coordinator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_OF_THE_TEST", "carried")
    assert run([(where, ())])[0] == [(str(ROOT), "carried")]


def test_what_a_job_raises_is_raised() -> None:
    with pytest.raises(KeyError, match="no 7"):
        run([(fail, (7,))])


def test_jobs_that_still_run_are_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with RayEngine(Settings(engine="ray"), 1) as opened:
        opened.submit(0, pickle.dumps((announce_and_hang, (tmp_path / "pipe",))))
        job = psutil.Process(int((tmp_path / "pipe").read_text()))
    assert psutil.wait_procs([job], timeout=30)[1] == []
    assert not opened.shared.exists()


def test_what_no_machine_has_is_told_at_once() -> None:
    with (
        pytest.raises(
            UserError, match=r"no machine of the Ray has what a job asks for \(1 CPU, 1 GPU, 90,000 GB of memory\)"
        ),
        RayEngine(Settings(engine="ray", gpus=1.0, memory=9e4), 1),
    ):
        pass


def test_a_shared_folder_of_the_settings_is_used_and_left_empty(tmp_path: Path) -> None:
    with RayEngine(Settings(engine="ray", shared=str(tmp_path / "shared")), 1) as opened:
        assert opened.shared.parent == tmp_path / "shared"
    assert list((tmp_path / "shared").iterdir()) == []
