"""Stages killed and interrupted: no process is left, and the next run gives the same bytes as if nothing had happened.

The campaign kills every stage at random moments, WINNOW_KILLS times in all; WINNOW_KILL_SEED says at which. What a kill
between any two writes of a stage leaves is in test_crashes.py.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.processes import below, commands_below, ended, heed_interrupts
from tests.support.workspace import ALL, Workspace
from winnow.commands.checks import check_lock

KILLS = int(os.environ.get("WINNOW_KILLS", "3"))
SEED = int(os.environ.get("WINNOW_KILL_SEED", "0"))
GRACE = 10.0  # seconds in which everything that a killed DVC started must be gone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return finished.copy(tmp_path_factory.mktemp("kills") / "repository")


def start(workspace: Workspace, stage: str) -> subprocess.Popen[str]:
    """DVC, made to run one stage, as the leader of a session of its own."""
    command = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item", stage]
    return subprocess.Popen(
        command,
        cwd=workspace.folder,
        env=workspace.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )


def running_stage(process: subprocess.Popen[str]) -> bool:
    return any(word.startswith("stages.") for words in commands_below(process.pid) for word in words)


def wait_for_stage(process: subprocess.Popen[str]) -> None:
    while not running_stage(process):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def forget_seeds(workspace: Workspace, stage: str) -> None:
    """The judge takes up whole seeds: without them it trains, and there is something to kill."""
    if stage == "judge":
        for top in ("models", "metrics"):
            shutil.rmtree(workspace.folder / top / "judge")


def undisturbed_seconds(workspace: Workspace, stage: str) -> float:
    forget_seeds(workspace, stage)
    with ended(start(workspace, stage)) as process:
        wait_for_stage(process)
        began = time.monotonic()
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return time.monotonic() - began


def still_alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(processes, timeout=GRACE)[1]


def plan() -> Iterator[tuple[int, str, float, bool]]:
    """Number, stage, moment as a share of the stage's time, and whether DVC alone is killed; every stage in turn."""
    draws = random.Random(SEED)
    order = draws.sample(ALL, len(ALL))
    for number in range(KILLS):
        yield number, order[number % len(order)], draws.random(), number % 2 == 1


@pytest.mark.campaign
def test_after_a_kill_the_next_run_gives_the_same_bytes(workspace: Workspace) -> None:
    lock = (workspace.folder / "dvc.lock").read_bytes()
    seconds: dict[str, float] = {}
    landed = 0
    for number, stage, share, alone in plan():
        if stage not in seconds:
            seconds[stage] = undisturbed_seconds(workspace, stage)
        forget_seeds(workspace, stage)
        with ended(start(workspace, stage)) as process:
            wait_for_stage(process)
            time.sleep(share * seconds[stage])
            family = below(process.pid)
            landed += running_stage(process)
            if alone:
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        what = "DVC alone" if alone else "the whole group"
        print(f"kill {number + 1} of {KILLS}, seed {SEED}: {stage} at {share:.0%} of {seconds[stage]:.1f} s, {what}")
        assert not still_alive(family)
        check_lock(workspace.folder)  # as `make run` does; says so if the kill met DVC writing it
        # Every other time without DVC's memory of earlier runs, so that the stage itself has to cope with the remains.
        restores = number // 2 % 2 == 0
        workspace.dvc("repro", *([] if restores else ["--no-run-cache"]))
        assert (workspace.folder / "dvc.lock").read_bytes() == lock
        workspace.dvc("status", "--quiet")
        assert not workspace.dirty()
        left = partial_files(workspace.folder)
        assert restores or not left  # a stage sweeps where it writes, if it runs
        for file in left:
            file.unlink()
    print(f"{landed} of {KILLS} kills met the stage at work")
    assert 2 * landed > KILLS


def partial_files(folder: Path) -> list[Path]:
    return [path for top in ("data", "models", "metrics", "report") for path in (folder / top).rglob("*.partial")]


def with_workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """DVC's descendants, as soon as its stage has started workers."""
    while not any("forkserver" in " ".join(words) for words in commands_below(process.pid)):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    return below(process.pid)


def test_an_interrupt_leaves_a_sentence_and_no_process(workspace: Workspace) -> None:
    with ended(start(workspace, "value@r1")) as process:
        family = with_workers(process)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "interrupted; nothing half-written is kept" in output
    assert "Traceback" not in output
    assert not still_alive(family)
    workspace.checkout()


def test_dvc_killed_alone_leaves_no_process_and_the_next_run_gives_the_same_bytes(workspace: Workspace) -> None:
    lock = (workspace.folder / "dvc.lock").read_bytes()
    forget_seeds(workspace, "judge")
    with ended(start(workspace, "judge")) as process:
        family = with_workers(process)
        process.kill()
        process.communicate()
    assert not still_alive(family)
    workspace.dvc("repro", "--no-run-cache")
    assert (workspace.folder / "dvc.lock").read_bytes() == lock
    assert workspace.status() == {}
    assert not workspace.dirty()
    assert not partial_files(workspace.folder)
