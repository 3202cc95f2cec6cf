"""The command line of ``winnow review``, as far as it goes without a server."""

import subprocess
from pathlib import Path

import pytest

from winnow.commands.person import user_name
from winnow.commands.review import review
from winnow.pipeline.messages import UserError


def test_decisions_are_signed_as_commits_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("LOGNAME", "an-account")
    assert user_name(tmp_path) == "an-account"
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "config", "user.name", "Mia Muster"], check=True)
    assert user_name(tmp_path) == "Mia Muster"


def test_the_name_of_the_pipeline_signs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "winnow")
    monkeypatch.setenv("PATH", "")  # without git
    assert user_name(tmp_path) == ""
    with pytest.raises(UserError, match="--by must name a person, got winnow"):
        review(["--by", " winnow "], tmp_path)


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    with pytest.raises(UserError, match="--port must lie between 0 and 65535"):
        review([f"--port={port}"], tmp_path)


def test_a_folder_without_a_run_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"params\.yaml is missing"):
        review(["--no-browser"], tmp_path)
