"""The demonstration of the engines: the same bytes on each, nothing left, and what it says where Slurm is missing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import engine_demo
from bench.slurm_cluster import missing_programs
from tests.support.workspace import Workspace


@pytest.mark.campaign
@pytest.mark.skipif(bool(missing_programs()), reason="Slurm and munge are not installed (Debian: slurm-wlm, munge)")
def test_every_engine_writes_the_same_bytes_and_leaves_nothing(finished: Workspace, tmp_path: Path) -> None:
    workspace, temporary = finished.copy(tmp_path / "repository"), tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "bench.engine_demo", "--seeds", "2"],
        cwd=workspace.folder,
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ends = re.findall(r"engine-demo: (\w+): .* process \d+ killed, the same (\d+) files; nothing left", done.stdout)
    assert [name for name, _ in ends] == ["local", "ray", "slurm"]
    assert {files for _, files in ends} == {str(2 * 2 * 4)}  # arms, seeds, files of a seed
    assert list(temporary.iterdir()) == []
    assert not workspace.dirty()


def test_without_slurm_the_rest_is_shown_and_the_command_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[list[str]] = []

    def shows(folder: Path, terminal: object, names: list[str], *more: object) -> dict[str, object]:
        shown.append(names)
        return {}

    monkeypatch.setattr(engine_demo, "missing_programs", lambda: ["munged", "slurmctld"])
    monkeypatch.setattr(engine_demo, "demonstrate", shows)
    monkeypatch.setattr(engine_demo, "RESULT", tmp_path / "engines.json")
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(sys, "argv", ["engine_demo"])
    with pytest.raises(SystemExit, match=r"munged, slurmctld not found; on Debian `apt-get install slurm-wlm munge`"):
        engine_demo.main()
    assert shown == [["local", "ray"]]
