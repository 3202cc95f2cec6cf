"""The engine slurm: its jobs by submitit's executor of this machine, and what it makes of Slurm's own programs."""

import os
import pickle
import stat
import subprocess
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from tests.support import engine_jobs, slurm_jobs
from winnow.engine import slurm_settings
from winnow.engine.jobs import coordinate
from winnow.engine.protocol import Lost
from winnow.engine.pulse import ABANDONED_AFTER, PULSE
from winnow.engine.settings import Settings, Slurm
from winnow.engine.slurm import MOST_IN_ARRAY, PREFIX, SlurmEngine
from winnow.engine.slurm_local import LocalQueue
from winnow.pipeline.messages import UserError


def settings(folder: Path, executor: Literal["slurm", "local"] = "slurm", **more: Any) -> Settings:
    return Settings(engine="slurm", cores=2, shared=str(folder), slurm=Slurm(executor=executor, **more))


def run(folder: Path, jobs: list[tuple[Any, ...]]) -> tuple[list[Any], list[int]]:
    """Results and movements of the bar."""
    moved: list[int] = []
    with SlurmEngine(settings(folder, "local"), len(jobs)) as engine:
        results = coordinate(engine, lambda number: pickle.dumps(jobs[number]), len(jobs), moved.append)
    return results, moved


def programs(folder: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Stand-ins for Slurm's programs, first on the PATH."""
    folder.mkdir()
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))


def test_a_job_whose_worker_is_killed_runs_again_and_nothing_is_left(tmp_path: Path) -> None:
    array, shared = np.arange(10.0), tmp_path / "shared"
    jobs = [(slurm_jobs.add_up, (array,)), (slurm_jobs.die_once, (tmp_path / "marker", 7))]
    results, moved = run(shared, jobs)
    assert results == [array.sum(), 7]
    assert sum(moved) == 1 + 2  # the ticks of the first attempt are taken back
    assert list(shared.iterdir()) == []


def test_an_exception_of_a_job_comes_back_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no 3") as raised:
        run(tmp_path, [(engine_jobs.fail, (3,))])
    assert "engine_jobs.py" in raised.value.__notes__[0]
    assert list(tmp_path.iterdir()) == []


def test_jobs_that_still_run_are_ended(tmp_path: Path) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    with SlurmEngine(settings(tmp_path / "shared", "local"), 1) as engine:
        engine.submit(0, pickle.dumps((slurm_jobs.announce_and_hang, (started,))))
        next(iter(engine.events()))
        pid = int(started.read_text())
    assert not Path(f"/proc/{pid}").exists()
    assert list((tmp_path / "shared").iterdir()) == []


def test_what_a_killed_coordinator_left_is_removed_and_that_of_a_living_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(tmp_path / "bin", monkeypatch, scancel=f'echo "$@" >> {tmp_path}/cancelled', squeue="true")
    for name, age in (("old", 2 * ABANDONED_AFTER), ("new", 0)):
        (tmp_path / "shared" / f"{PREFIX}{name}").mkdir(parents=True)
        pulse = tmp_path / "shared" / f"{PREFIX}{name}" / PULSE
        pulse.touch()
        os.utime(pulse, (pulse.stat().st_mtime - age,) * 2)
    with SlurmEngine(settings(tmp_path / "shared", "local"), 1):
        pass
    assert [path.name for path in (tmp_path / "shared").iterdir()] == [f"{PREFIX}new"]
    assert f"--name={PREFIX}old" in (tmp_path / "cancelled").read_text()
    assert f"--name={PREFIX}new" not in (tmp_path / "cancelled").read_text()


def test_without_slurm_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sbatch is not on the PATH"), SlurmEngine(settings(tmp_path), 1):
        pass


def test_what_slurm_refuses_is_told_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sbatch = f"cp $1 {tmp_path}/script; echo 'sbatch: error: invalid partition specified: gold' >&2; exit 1"
    programs(
        tmp_path / "bin",
        monkeypatch,
        sbatch=sbatch,
        srun="true",
        sinfo="echo 'gold gpu:a100:4(S:0)'",
        scancel="true",
        squeue="true",
    )
    given = settings(tmp_path / "shared", partition="gold", minutes=90, options={"account": "vision"})
    with SlurmEngine(given, 1) as engine:
        engine.submit(0, b"")
        with pytest.raises(UserError, match=r"Slurm refused the jobs: .*invalid partition"):
            next(iter(engine.events()))
    script = (tmp_path / "script").read_text()
    options = [line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")]
    for wanted in ("partition=gold", "time=90", "account=vision", "requeue", "gpus-per-node=1", "cpus-per-task=1"):
        assert wanted in options
    assert list((tmp_path / "shared").iterdir()) == []


@pytest.mark.parametrize(
    ("partitions", "given", "gpus"),
    [
        ("cpu* (null)\nbig gpu:a100:4(S:0)", {}, None),  # jobs go to the default partition
        ("cpu (null)\nbig* gpu:a100:4(S:0)", {}, 1),
        ("big gpu:a100:4(S:0)", {"partition": "big"}, 1),
        ("big gpu:a100:4(S:0)", {"options": {"partition": "big"}}, 1),
        ("gpu-less (null)", {"partition": "gpu-less"}, None),
    ],
)
def test_a_job_asks_for_a_device_where_its_partition_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partitions: str, given: dict[str, Any], gpus: int | None
) -> None:
    programs(tmp_path / "bin", monkeypatch, sinfo=f'echo "$@" > {tmp_path}/asked; printf "{partitions}\n"')
    assert slurm_settings._gpus(settings(tmp_path, **given)) == gpus
    assert ("--partition=big" in (tmp_path / "asked").read_text()) == ("big" in str(given))


def test_no_more_jobs_are_open_than_may_run_once_one_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm keeps to the jobs at once of an array alone."""
    row = "printf '%-48s%-32s%-16s%-64s%-96s\\n'"
    programs(
        tmp_path / "bin",
        monkeypatch,
        sbatch="echo Submitted batch job 1",
        srun="true",
        sinfo="echo 'all* (null)'",
        scancel=f'case "$*" in *--name*) touch {tmp_path}/cancelled;; esac',
        squeue=f"{row} 1_0 FAILED 9 n1 RaisedSignal; test -e {tmp_path}/cancelled || "
        f"for n in 1 2 3; do {row} 1_$n RUNNING 0 n1 None; done",
    )
    monkeypatch.setattr("winnow.engine.slurm.GRACE", 0)
    with SlurmEngine(settings(tmp_path / "shared"), 4) as engine:
        assert engine.capacity == 4
        for number in range(4):
            engine.submit(number, b"")
        assert isinstance(next(iter(engine.events())), Lost)
        assert engine.capacity == 2


def test_a_process_that_has_the_number_of_an_ended_job_lives_on(tmp_path: Path) -> None:
    """Of submitit's executor here, whose jobs are named by the numbers of processes."""

    class Ended:
        job_id = ""

        def done(self) -> bool:
            return True

    with subprocess.Popen(["sleep", "60"]) as stranger:
        job: Any = Ended()
        job.job_id = str(stranger.pid)
        LocalQueue().end([job])
        assert stranger.poll() is None
        stranger.kill()


def test_a_slurm_that_says_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(tmp_path / "bin", monkeypatch, sbatch="true", srun="true", sinfo="echo retrying >&2; exec sleep 60")
    monkeypatch.setattr("winnow.engine.slurm_settings.ANSWERS_WITHIN", 0.5)
    with pytest.raises(UserError, match=r"Slurm does not answer: sinfo said nothing for 0\.5 seconds"):
        SlurmEngine(settings(tmp_path / "shared"), 1).__enter__()


def test_a_job_that_slurm_killed_is_lost_with_its_reason_and_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = "$(sed -n 's/^#SBATCH --error=//p' $1 | sed 's/%j/1/')"
    programs(
        tmp_path / "bin",
        monkeypatch,
        sbatch=f'echo "no more memory" > {error}; echo Submitted batch job 1',
        srun="true",
        sinfo="echo 'all* (null)'",
        scancel="true",
        squeue="printf '%-48s%-32s%-16s%-64s%-96s\\n' 1 OUT_OF_MEMORY 9 n1 OutOfMemory",
    )
    monkeypatch.setattr("winnow.engine.slurm.GRACE", 0)
    with SlurmEngine(settings(tmp_path / "shared"), 1) as engine:
        engine.submit(0, b"")
        (lost,) = engine.events()
    assert isinstance(lost, Lost)
    assert lost.number == 0
    assert lost.why.startswith("was killed, since it used more memory than engine.yaml asks for on n1")
    assert lost.log == "no more memory"


def test_nobody_else_may_write_where_requests_lie(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with SlurmEngine(settings(tmp_path / "shared", "local"), 1) as engine:
            assert stat.S_IMODE(engine.shared.stat().st_mode) == 0o700
    finally:
        os.umask(before)


@pytest.mark.parametrize(("jobs", "capacity"), [(500, 500), (MOST_IN_ARRAY + 1, 2)])
def test_jobs_of_several_arrays_are_submitted_as_far_as_they_may_run(tmp_path: Path, jobs: int, capacity: int) -> None:
    assert SlurmEngine(settings(tmp_path), jobs).capacity == capacity


def test_a_percent_sign_in_the_shared_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="without %"):
        SlurmEngine(settings(tmp_path / "50 %"), 1)
