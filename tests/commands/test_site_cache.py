"""DVC's site cache: a folder of the user's own, for Winnow's commands and for a ``dvc`` that the user types."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.config import Config
from dvc.repo import Repo

from tests.support.imports import ROOT
from tests.support.shell import commit_all, new_repository, shell
from winnow.__main__ import main
from winnow.commands.site_cache import VARIABLE, use_own_site_cache
from winnow.pipeline.messages import UserError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which nothing names a site cache, of a user whose home is empty."""
    new_repository(tmp_path / "here", monkeypatch)
    monkeypatch.delenv(VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "here"


def own(tmp_path: Path) -> Path:
    return tmp_path / "home/.cache/winnow/dvc"


def test_it_is_in_the_users_own_cache_and_closed_to_others(here: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert use_own_site_cache() == own(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(own(tmp_path).stat().st_mode) == 0o700
    assert os.environ[VARIABLE] == str(own(tmp_path))


def test_a_dvc_that_is_typed_takes_it_too_and_git_does_not(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit_all()
    assert shell("dvc config --local core.checksum_jobs 3") == 0
    use_own_site_cache()
    assert ".dvc/config.local" in capsys.readouterr().err
    monkeypatch.delenv(VARIABLE)
    with Repo() as repo:
        assert Path(repo.site_cache_dir).is_relative_to(own(tmp_path))
        assert repo.config["core"]["checksum_jobs"] == 3
    assert shell("git diff --quiet HEAD") == 0
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    use_own_site_cache()
    assert os.environ[VARIABLE] == str(own(tmp_path))
    assert "config.local" not in capsys.readouterr().err  # it was named already


def test_a_setting_or_a_variable_wins(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell(f"dvc config --local core.site_cache_dir {tmp_path}/set") == 0
    assert use_own_site_cache() == tmp_path / "set"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "variable"))
    assert use_own_site_cache() == tmp_path / "variable"
    assert stat.S_IMODE((tmp_path / "variable").stat().st_mode) == 0o700
    with Config(".dvc").edit("local") as settings:
        assert settings["core"]["site_cache_dir"] == f"{tmp_path}/set"


@pytest.mark.parametrize("path", ["~/dvc", "relative", "$HOME/dvc"])
def test_dvc_takes_the_setting_literally_and_so_only_an_absolute_path_serves(here: Path, path: str) -> None:
    """Which is why the setting cannot be committed: it would be another folder for every user."""
    with Config(".dvc").edit("repo") as settings:
        settings["core"]["site_cache_dir"] = path
    with Repo() as repo:
        assert Path(repo.site_cache_dir).is_relative_to(path)
    with pytest.raises(UserError, match=r"core\.site_cache_dir must be an absolute path"):
        use_own_site_cache()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755, 0o1777, 0o711])
def test_a_folder_that_others_can_enter_is_refused(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    monkeypatch.setenv(VARIABLE, str(folder))
    with pytest.raises(UserError, match=r"open, which DVC_SITE_CACHE_DIR names, is open to other users.*remove it"):
        use_own_site_cache()
    folder.rmdir()
    use_own_site_cache()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_a_file_and_a_folder_of_somebody_else_are_refused(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "file").touch()
    for name, said in (("link", "not a folder of this user's"), ("file", "cannot be DVC's site cache")):
        monkeypatch.setenv(VARIABLE, str(tmp_path / name))
        with pytest.raises(UserError, match=said):
            use_own_site_cache()
    monkeypatch.setenv(VARIABLE, str(target))
    monkeypatch.setattr(os, "getuid", lambda: target.stat().st_uid + 1)
    with pytest.raises(UserError, match="not a folder of this user's"):
        use_own_site_cache()


@pytest.mark.parametrize(
    "command",
    [
        ["winnow", "why", "1"],
        ["winnow.diff", "HEAD"],
        ["winnow.why", "1"],
        ["winnow", "run"],
        ["winnow", "pull"],
        ["winnow", "fsck"],
        ["winnow.commands.site_cache"],
    ],
)
def test_every_command_refuses_it_in_one_sentence(here: Path, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    environment = os.environ | {"PYTHONPATH": str(ROOT), VARIABLE: str(tmp_path / "open")}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "is open to other users" in done.stderr
    assert not any((tmp_path / "open").iterdir())


def test_help_writes_nothing(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("run", "push"):
        with pytest.raises(SystemExit) as end:
            main([word, "--help"])
        assert end.value.code == 0
        assert f"usage: winnow {word}" in capsys.readouterr().out
    assert not Path(".dvc/config.local").exists()
    assert not own(tmp_path).exists()
