"""Single stages: what runs, what dvc.lock then says, and decisions that are saved meanwhile."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from winnow.commands.stages_alone import run_stages
from winnow.pipeline.messages import UserError
from winnow.verdicts.decision_rows import HEADER

HEAD = ",".join(HEADER) + "\n"
STAGES = ("overrides", "refined", "export")


def carry_out(project: Path) -> list[str]:
    return run_stages(STAGES, project / "overrides.csv", remedy="Ask.")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The three stages, each of which copies a file, among others that would fail."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    root = tmp_path / "project"
    root.mkdir()
    Repo.init(str(root), no_scm=True).close()
    stages: dict[str, Any] = {"train": {"cmd": "false", "outs": ["models"]}}
    paths = ["overrides.csv", "resolved", "refined", "export"]
    for stage, given, made in zip(STAGES, paths, paths[1:], strict=False):
        stages[stage] = {"cmd": f"cp {given} {made}", "deps": [given], "outs": [made]}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (root / "overrides.csv").write_text(HEAD)
    with contextlib.chdir(root):
        yield root


def test_three_stages_run_where_something_changed_and_are_recorded(project: Path) -> None:
    assert carry_out(project) == list(STAGES)
    assert (project / "export").read_text() == HEAD
    assert set(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == set(STAGES)
    with Repo(str(project)) as repo:
        assert repo.status(targets=list(STAGES)) == {}
    assert carry_out(project) == []
    (project / "overrides.csv").write_text(HEAD + "a,drop\n")
    assert carry_out(project) == list(STAGES)
    assert (project / "export").read_text() == HEAD + "a,drop\n"


def test_from_another_folder_it_is_the_same(project: Path) -> None:
    (project / "below").mkdir()
    with contextlib.chdir(project / "below"):
        assert carry_out(project) == list(STAGES)
        assert carry_out(project) == []
    assert (project / "export").read_text() == HEAD


def test_another_command_alone_is_recorded(project: Path) -> None:
    carry_out(project)
    pipeline = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(pipeline.replace("cp overrides.csv", "cp -f overrides.csv"))
    assert carry_out(project) == ["overrides"]
    assert carry_out(project) == []


def test_a_stage_that_fails_stops_and_what_ran_before_it_is_recorded(project: Path) -> None:
    pipeline = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(pipeline.replace("cp resolved refined", "cp nothing refined"))
    with pytest.raises(UserError, match=r"stopped \(.*cp nothing refined.*lines above may say why\. Ask\.$") as caught:
        carry_out(project)
    assert "\n" not in str(caught.value)
    assert set(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == {"overrides"}
    (project / "dvc.yaml").write_text(pipeline)
    assert carry_out(project) == ["refined", "export"]


def test_without_what_a_run_makes_it_says_so(project: Path) -> None:
    pipeline = (project / "dvc.yaml").read_text()
    (project / "dvc.yaml").write_text(pipeline.replace("- overrides.csv", "- accepted\n    - overrides.csv"))
    with pytest.raises(UserError, match=r"stopped \(.*accepted.*Ask"):
        carry_out(project)


def test_what_dvc_lock_does_not_name_is_not_built_on(project: Path) -> None:
    """As after a ``git pull`` without ``make pull``."""
    pipeline = (project / "dvc.yaml").read_text()
    pipeline = pipeline.replace("cmd: 'false'", "cmd: echo first > models")
    pipeline = pipeline.replace("- resolved\n    outs", "- resolved\n    - models\n    outs", 1)
    assert "- models\n    outs" in pipeline
    (project / "dvc.yaml").write_text(pipeline)
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet", "train"], cwd=project, check=True)
    assert carry_out(project) == list(STAGES)
    before = (project / "dvc.lock").read_bytes()
    (project / "models").unlink()
    (project / "models").write_text("another's")
    with pytest.raises(UserError, match=r"models is not what dvc\.lock names; `make pull` or"):
        carry_out(project)
    assert (project / "dvc.lock").read_bytes() == before
    assert (project / "export").exists()


def test_what_a_stage_wrote_before_is_there_again_once_it_refuses_the_decisions(project: Path) -> None:
    pipeline = (project / "dvc.yaml").read_text()
    strict = 'test -z "$(grep bad resolved)" && cp resolved refined'
    (project / "dvc.yaml").write_text(pipeline.replace("cp resolved refined", strict))
    assert carry_out(project) == list(STAGES)
    (project / "overrides.csv").write_text(HEAD + "bad,drop\n")
    with pytest.raises(UserError, match="stopped"):
        carry_out(project)
    assert (project / "refined").read_text() == HEAD
    assert (project / "export").read_text() == HEAD
    (project / "overrides.csv").write_text(HEAD + "good,drop\n")
    assert carry_out(project) == list(STAGES)
    assert (project / "export").read_text() == HEAD + "good,drop\n"


def test_a_check_saved_while_the_export_runs_is_in_it(project: Path) -> None:
    (project / "checked.csv").write_text(HEAD)
    (project / "once.py").write_text(
        "import pathlib, sys\n"
        "if not pathlib.Path('once').exists():\n"
        "    pathlib.Path('once').touch()\n"
        "    with open('checked.csv', 'a') as file: file.write('a,keep\\n')\n"
        "    sys.exit(int(sys.argv[1]))\n"
    )
    pipeline = (
        (project / "dvc.yaml").read_text().replace("- refined\n    outs", "- refined\n    - checked.csv\n    outs")
    )
    for code in ("1", "0"):
        (project / "once").unlink(missing_ok=True)
        command = f"cat refined checked.csv > export && {sys.executable} once.py {code}"
        (project / "dvc.yaml").write_text(pipeline.replace("cp refined export", command))
        assert "export" in carry_out(project)
        assert (project / "export").read_text() == HEAD + (project / "checked.csv").read_text()
        assert carry_out(project) == []


WRITER = """
import fcntl, pathlib, sys
if sys.argv[1] == "always" or not pathlib.Path("once").exists():
    pathlib.Path("once").touch()
    with open(".overrides.csv.lock", "a") as lock, open("overrides.csv", "a") as file:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB if sys.argv[2] == "asks" else fcntl.LOCK_UN)
        except BlockingIOError:
            sys.exit()
        file.write("a,drop\\n")
    sys.exit(int(sys.argv[3]))
"""


def with_a_writer(project: Path, *options: str) -> None:
    """A stage that reads the decisions, and somebody who saves one before DVC hashes what it read."""
    (project / "writer.py").write_text(WRITER)
    pipeline = (project / "dvc.yaml").read_text()
    command = f"cp overrides.csv resolved && {sys.executable} writer.py {' '.join(options)}"
    (project / "dvc.yaml").write_text(pipeline.replace("cp overrides.csv resolved", command))


@pytest.mark.parametrize("options", [("once", "asks", "0"), ("once", "asks", "1"), ("always", "asks", "0")])
def test_a_decision_saved_while_the_stages_run_reaches_the_data_or_is_not_recorded(
    project: Path, options: tuple[str, ...]
) -> None:
    with_a_writer(project, *options)
    assert carry_out(project) == list(STAGES)
    whole = (project / "overrides.csv").read_text()
    assert whole.startswith(HEAD + "a,drop\n")
    assert (project / "export").read_text() == whole
    with Repo(str(project)) as repo:
        assert repo.status(targets=list(STAGES)) == {}
    if options[0] == "once":
        assert carry_out(project) == []


def test_a_program_that_saves_whenever_the_stage_runs_and_knows_no_lock_is_refused(project: Path) -> None:
    with_a_writer(project, "always", "does-not-ask", "0")
    with pytest.raises(UserError, match=r"overrides\.csv was changed whenever it was read, 3 times; save it, and run"):
        carry_out(project)
    assert not (project / "dvc.lock").exists()
    (project / "dvc.yaml").write_text((project / "dvc.yaml").read_text().replace("always", "once"))
    assert carry_out(project) == list(STAGES)
    assert (project / "export").read_text() == (project / "overrides.csv").read_text()


def test_a_decision_that_dvc_recorded_without_its_having_been_read_is_carried_out(project: Path) -> None:
    assert carry_out(project) == list(STAGES)
    (project / "overrides.csv").write_text(HEAD + "b,drop\n")
    with_a_writer(project, "once", "asks", "0")
    command = [sys.executable, "-m", "dvc", "repro", "--quiet"]
    subprocess.run([*command, "overrides"], cwd=project, check=True)
    subprocess.run([*command, "export"], cwd=project, check=True)
    assert (project / "export").read_text() == HEAD + "b,drop\n"
    with Repo(str(project)) as repo:
        assert not repo.status(targets=["overrides"])  # although a row is not in what it wrote
    assert carry_out(project) == list(STAGES)
    assert (project / "export").read_text() == HEAD + "b,drop\na,drop\n"
    assert carry_out(project) == []
