"""A repository of one's own beside an installed wheel: made, run, and used, on tiny data, as a user does it."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.support.imports import ROOT
from tests.support.workspace import ALL, TINY, Workspace
from winnow.commands.edited_params import edited_text

pytestmark = pytest.mark.slow


class OwnRepository(Workspace):
    """One that knows the installed Winnow and not this clone."""

    def __init__(self, folder: Path, installed: Path) -> None:
        super().__init__(folder)
        self.installed = installed

    def environment(self) -> dict[str, str]:
        return super().environment() | {"PYTHONPATH": str(self.installed)}

    def winnow(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "winnow", *words, check=check)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this clone, built from a copy, since a build leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).exists() and not name.startswith(("tests/", "docs/", "metrics/", "tour/")):
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "source" / name, follow_symlinks=False)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "source"))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def own(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> OwnRepository:
    """The repository, in which everything ran once and is committed."""
    above = tmp_path_factory.mktemp("own")
    pip("install", "--target", str(above / "installed"), str(wheel))
    repository = OwnRepository(above / "mine", above / "installed")
    command = [sys.executable, "-m", "winnow", "init", "mine", "--remote", "store"]
    subprocess.run(command, cwd=above, env=repository.environment(), check=True, capture_output=True)
    params = repository.folder / "params.yaml"
    params.write_text(edited_text(params.read_text(), TINY))
    for setting, value in (("user.email", "test@example.org"), ("user.name", "test")):
        repository.run("git", "config", setting, value)
    repository.commit("start")
    repository.winnow("run")
    repository.commit("everything ran")
    return repository


def pip(action: str, *words: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([sys.executable, "-m", "pip", action, *quiet, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    """The pages, scripts and styles too, and what ``winnow init`` delivers."""
    listed = subprocess.run(
        ["git", "ls-files", "winnow", "stages"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wanted = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    with zipfile.ZipFile(wheel) as archive:
        assert wanted <= set(archive.namelist())
        assert archive.read("winnow/template/files/pipeline.yaml") == (ROOT / "dvc.yaml").read_bytes()


@pytest.mark.campaign  # the wheel, and the tests of winnow.template, are the smaller form
def test_everything_ran_with_the_installed_code(own: OwnRepository) -> None:
    stages = yaml.safe_load((own.folder / "dvc.lock").read_text())["stages"]
    assert set(stages) == set(ALL)
    deps = {dep["path"] for stage in stages.values() for dep in stage.get("deps", [])}
    assert not [path for path in deps if path.startswith(("stages/", "winnow/"))]
    assert all("winnow.lock" in stage["params"] for stage in stages.values())
    assert (own.folder / "report/index.html").is_file()
    assert (own.folder / "data/export/corrections.csv").is_file()
    where = own.run(sys.executable, "-c", "import winnow, stages; print(winnow.__file__, stages.__file__)").stdout
    assert where.count(str(own.installed)) == 2


@pytest.mark.campaign  # the wheel, and the tests of winnow.template, are the smaller form
def test_afterwards_nothing_is_to_be_done(own: OwnRepository) -> None:
    assert re.findall("Running stage '(.+?)'", own.winnow("run").stdout) == ["overrides"]  # whatever dvc.lock says
    assert not own.dirty()


@pytest.mark.campaign  # the wheel, and the tests of winnow.template, are the smaller form
def test_new_code_of_a_stage_reruns_it_once_the_repository_was_upgraded(own: OwnRepository) -> None:
    changed = own.installed / "winnow/report/leaks.py"
    before = changed.read_bytes()
    changed.write_bytes(before + b"# another line\n")
    refused = own.dvc("repro", "--force", "--single-item", "refined", check=False)
    own.dvc("checkout", "--force")
    assert refused.returncode != 0
    assert "refined: another build of Winnow" in refused.stderr
    assert "another build of Winnow" in own.winnow("run", check=False).stderr
    assert "changed: winnow.lock" in own.winnow("init", "--upgrade").stdout
    assert set(own.status()) == {"report"}
    changed.write_bytes(before)
    own.bring_back()
    assert own.status() == {}


@pytest.mark.campaign  # the wheel, and the tests of winnow.template, are the smaller form
def test_the_other_commands_work_there(own: OwnRepository, tmp_path: Path) -> None:
    assert re.search(r"'team': [1-9]\d* objects sent", own.winnow("push").stdout)
    assert own.winnow("fsck", "--remote", "team").returncode == 0
    assert own.winnow("diff", "HEAD").returncode == 0
    named = yaml.safe_load((own.folder / "params.yaml").read_text())["dataset"]["source"]
    assert named == "data/synthetic.zip"
    with zipfile.ZipFile(own.folder / named) as archive:
        image = next(name for name in archive.namelist() if name.startswith("train/") and name.endswith(".png"))
    assert image in own.winnow("why", image).stdout
    assert "unknown" in own.winnow("run", "--preset", "unknown", check=False).stderr
    subprocess.run(["git", "clone", "--quiet", str(own.folder), str(tmp_path / "clone")], check=True)
    clone = OwnRepository(tmp_path / "clone", own.installed)
    clone.winnow("pull")
    assert (clone.folder / "report/index.html").read_bytes() == (own.folder / "report/index.html").read_bytes()
    assert not clone.dirty()


@pytest.mark.campaign  # the wheel, and the tests of winnow.template, are the smaller form
def test_elsewhere_a_command_says_that_there_is_no_pipeline(own: OwnRepository, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "winnow", "run"]
    environment = os.environ | {"PYTHONPATH": str(own.installed)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        "is in no repository with Winnow's pipeline; go into yours, or make one with `winnow init DIR`" in done.stderr
    )
