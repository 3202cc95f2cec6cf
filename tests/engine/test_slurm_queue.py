"""What Slurm's squeue says of jobs, as reasons for the loss of a worker."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from winnow.engine.slurm_queue import COLUMNS, ENDED, SlurmQueue, no_job_of_its_own

Row = tuple[str, str, str, str, str]


def queue(folder: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Row]) -> SlurmQueue:
    """One in which squeue prints these rows."""
    lines = ["".join(value.ljust(width) for value, width in zip(row, COLUMNS.values(), strict=True)) for row in rows]
    (folder / "rows").write_text("".join(f"{line}\n" for line in lines))
    (folder / "squeue").write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\ncat {folder}/rows\n')
    (folder / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))
    return SlurmQueue("winnow-1")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (
            ("1_0", "FAILED", str(137 << 8), "n1", "NonZeroExitCode"),
            "was killed (signal 9) on n1 (Slurm: FAILED, NonZeroExitCode)",
        ),
        (
            ("1_0", "FAILED", str(2 << 8), "n1", "NonZeroExitCode"),
            "ended (exit code 2) on n1 (Slurm: FAILED, NonZeroExitCode)",
        ),
        (("1_0", "FAILED", "11", "n1", "RaisedSignal"), "was killed (signal 11) on n1 (Slurm: FAILED, RaisedSignal)"),
        (("1_0", "NODE_FAIL", "0", "n2", "NodeDown"), "ended with its node on n2 (Slurm: NODE_FAIL, NodeDown)"),
        (("1_0", "CANCELLED", "0", "", "None"), "was cancelled (Slurm: CANCELLED, None)"),
        (
            ("1_0", "PENDING", "0", "", "launch failed requeued held"),
            "is held by Slurm (launch failed requeued held)",
        ),
        (("1_0", "PENDING", "0", "", "JobHeldAdmin"), "is held by Slurm (JobHeldAdmin)"),
        (("1_0", "PENDING", "0", "", "JobHoldMaxRequeue"), "is held by Slurm (JobHoldMaxRequeue)"),
    ],
)
def test_the_end_of_a_job_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Row, why: str) -> None:
    assert queue(tmp_path, monkeypatch, [row]).ended([]) == {"1_0": why}
    assert "--name=winnow-1" in (tmp_path / "asked").read_text()


def test_jobs_that_wait_run_or_are_queued_again_have_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    going = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED", "STOPPED", "SIGNALING")
    rows = [(f"1_{number}", state, "0", "", "None") for number, state in enumerate(going)]
    assert queue(tmp_path, monkeypatch, rows).ended([]) == {}


def test_every_final_state_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"1_{number}", state, "0", "", "None") for number, state in enumerate(ENDED)]
    assert len(queue(tmp_path, monkeypatch, rows).ended([])) == len(ENDED)


def test_a_controller_that_does_not_answer_has_lost_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = queue(tmp_path, monkeypatch, [("1", "FAILED", "1", "n1", "None")])
    (tmp_path / "squeue").write_text("#!/bin/sh\ncat rows; exit 1\n")
    assert silent.ended([]) == {}


def test_a_job_that_slurm_has_forgotten_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = queue(tmp_path, monkeypatch, [("1_0", "RUNNING", "0", "n1", "None")])
    jobs = [SimpleNamespace(job_id="1_0"), SimpleNamespace(job_id="1_1")]
    assert listed.ended(jobs) == {"1_1": "is no longer known to Slurm"}


def test_jobs_are_cancelled_again_where_the_controller_did_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = queue(tmp_path, monkeypatch, [])
    cancels = tmp_path / "cancels"
    # scancel is called twice a round; squeue fails in the first
    (tmp_path / "scancel").write_text(f"#!/bin/sh\necho >> {cancels}\n")
    (tmp_path / "scancel").chmod(0o755)
    (tmp_path / "squeue").write_text(f"#!/bin/sh\ntest $(wc -l < {cancels}) -gt 2\n")
    silent.end([])
    assert len(cancels.read_text().splitlines()) == 4


def test_a_job_submitted_from_a_job_does_not_take_over_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "100")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    with no_job_of_its_own():
        assert "SLURM_MEM_PER_CPU" not in os.environ
        assert os.environ["SLURM_CONF"] == "/etc/slurm.conf"
    assert os.environ["SLURM_MEM_PER_CPU"] == "100"
