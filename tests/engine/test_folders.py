"""Folders that all workers see."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from winnow.engine.folders import LOCK, LOCKED_WITHIN, PREFIX, folder_for_all, place_for_all
from winnow.engine.pulse import ABANDONED_AFTER, PULSE
from winnow.engine.settings import Settings
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError


@pytest.mark.parametrize("settings", [Settings(), Settings(engine="ray")])
def test_workers_of_this_machine_see_its_temporary_files(settings: Settings) -> None:
    assert place_for_all(settings) == Path(tempfile.gettempdir())


@pytest.mark.parametrize("settings", [Settings(engine="ray", address="auto"), Settings(engine="slurm")])
def test_workers_of_others_see_the_repository(settings: Settings) -> None:
    assert place_for_all(settings).is_relative_to(ROOT)


def test_a_folder_of_the_settings_comes_first_and_is_empty_after(tmp_path: Path) -> None:
    settings = Settings(engine="slurm", shared=str(tmp_path / "new"))
    with folder_for_all(settings) as one, folder_for_all(settings) as other:
        (one / "file").touch()
        assert one != other
        assert one.parent == other.parent == tmp_path / "new"
    assert list((tmp_path / "new").iterdir()) == []


def test_what_killed_coordinators_left_is_removed_and_that_of_living_ones_stays(tmp_path: Path) -> None:
    for name, age in (("old", 2 * ABANDONED_AFTER), ("new", 0)):
        folder = tmp_path / f"{PREFIX}{name}"
        folder.mkdir()
        (folder / PULSE).touch()
        os.utime(folder / PULSE, ((folder / PULSE).stat().st_mtime - age,) * 2)
    (tmp_path / f"{PREFIX}of-others").mkdir()
    with folder_for_all(Settings(engine="ray", shared=str(tmp_path))):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}new", f"{PREFIX}of-others"]


def test_what_a_killed_process_of_this_machine_left_is_removed_and_that_of_living_ones_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import os, signal\n"
        "from winnow.engine.folders import folder_for_all\n"
        "from winnow.engine.settings import Settings\n"
        "with folder_for_all(Settings()) as folder:\n"
        "    (folder / '0').write_bytes(b'of a worker'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    (left,) = tmp_path.iterdir()
    (tmp_path / f"{PREFIX}of-another-program").mkdir()
    with folder_for_all(Settings()):
        assert left.exists()  # it may be about to be locked
    old = time.time() - 2 * LOCKED_WITHIN
    os.utime(left / LOCK, (old, old))
    with folder_for_all(Settings()) as mine:
        os.utime(mine / LOCK, (old, old))
        assert not left.exists()
        with folder_for_all(Settings()):
            assert mine.exists()
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}of-another-program"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = Settings(shared=str(tmp_path / "file" / "below"))
    with pytest.raises(UserError, match=r"the shared folder .*below cannot be written"), folder_for_all(settings):
        pass
