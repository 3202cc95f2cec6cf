"""A repository whose stages ran, and ``winnow fsck`` in it."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.fsck import PIPELINE, SOURCE, Fsck
from tests.support.shell import commit_all, new_repository, shell


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository whose stages ran, and a remote that has everything."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        new_repository(folder / "here", patch)
        Path("dvc.yaml").write_text(yaml.safe_dump(PIPELINE, sort_keys=False))
        Path(".dvcignore").write_text("*.tmp\n")
        SOURCE.write_bytes(b"source")
        assert shell("dvc add --quiet mine.zip && dvc repro --quiet") == 0
        commit_all()
        assert shell("dvc remote add --quiet --default team ../team && winnow push") == 0
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of both, in which the test works; the remote is configured and has everything."""
    new_repository(tmp_path / "nobody", monkeypatch)
    for name in ("here", "team"):
        shutil.copytree(made / name, tmp_path / name, symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def alone(here: Path) -> Path:
    """The repository without a remote."""
    shell("git checkout --quiet -- .dvc/config")
    return here


@pytest.fixture
def fsck(capfd: pytest.CaptureFixture[str]) -> Fsck:
    """Runs it in this folder: the exit code and the lines."""

    def run(*options: str) -> tuple[int, list[str]]:
        capfd.readouterr()
        code = shell(" ".join(["winnow fsck", *options]))
        told = capfd.readouterr()
        assert "Traceback" not in told.err
        return code, (told.out + told.err).splitlines()

    return run
