"""dvc.yaml of a repository whose code is an installed package, against dvc.yaml of this one."""

import configparser
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.imports import ROOT
from winnow.template.delivered import FOLDER
from winnow.template.installed_pipeline import installed_pipeline, mark_text

TEXT = (ROOT / "dvc.yaml").read_text()
HERE: dict[str, Any] = yaml.safe_load(TEXT)
THERE: dict[str, Any] = yaml.safe_load(installed_pipeline(TEXT))
PRESETS = sorted(file.name for file in (ROOT / "presets").iterdir())
PLOTS = sorted(file.name for file in (ROOT / ".dvc/plots").iterdir())
LINKS = {
    "pipeline.yaml": "dvc.yaml",
    "params.yaml": "params.yaml",
    "makefile": "Makefile",
    "gitignore": ".gitignore",
    "gitattributes": ".gitattributes",
    "dvcignore": ".dvcignore",
    "requirements.txt": "requirements.txt",
    "requirements-remote.txt": "requirements-remote.txt",
    "models_user.md": "models/user/README.md",
    **{f"presets/{name}": f"presets/{name}" for name in PRESETS},
    **{f"plots/{name}": f".dvc/plots/{name}" for name in PLOTS},
}


def body(pipeline: dict[str, Any], stage: str) -> dict[str, Any]:
    entry: dict[str, Any] = pipeline["stages"][stage]
    inner: dict[str, Any] = entry.get("do", entry)
    return inner


def is_code(path: Any) -> bool:
    return isinstance(path, str) and path.startswith(("stages/", "winnow/"))


def test_what_is_delivered_are_the_files_of_this_repository() -> None:
    """Not a second copy: links in a clone; a copy of the repository has the same bytes."""
    files = {file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*") if not file.is_dir()}
    assert files == {*LINKS, "README.md", "dvc_config"}
    for name, original in LINKS.items():
        assert (FOLDER / name).read_text() == (ROOT / original).read_text(), name
    if (ROOT / ".git").exists():
        assert all((FOLDER / name).resolve() == ROOT / original for name, original in LINKS.items())


def settings(file: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser()
    parser.read(file)
    return {section: dict(parser[section]) for section in parser.sections()}


def test_dvc_is_set_as_in_this_repository_but_for_what_a_user_may_have_added() -> None:
    here, there = settings(ROOT / ".dvc/config"), settings(FOLDER / "dvc_config")
    assert set(there) == {"core", "cache"}
    assert all(there[section].items() <= here[section].items() for section in there)


@pytest.mark.parametrize("stage", HERE["stages"])
def test_a_stage_depends_on_its_entry_of_winnow_lock_in_place_of_code(stage: str) -> None:
    before, after = body(HERE, stage), body(THERE, stage)
    assert after.get("deps", []) == [dep for dep in before["deps"] if not is_code(dep)]
    assert after["params"] == [*before.get("params", []), {"winnow.lock": [f"stages.{stage}"]}]
    changed = {"deps", "params"}
    assert {key: after[key] for key in after if key not in changed} == {
        key: before[key] for key in before if key not in changed
    }


def test_all_else_stays_as_it_is() -> None:
    assert list(THERE["stages"]) == list(HERE["stages"])
    assert THERE["plots"] == HERE["plots"]
    for stage, entry in HERE["stages"].items():
        assert THERE["stages"][stage].get("foreach") == entry.get("foreach")


def test_every_stage_has_a_digest_that_its_own_code_alone_changes(tmp_path: Path) -> None:
    for name in ("winnow", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    before = yaml.safe_load(mark_text(TEXT, tmp_path))
    assert list(before["stages"]) == list(HERE["stages"])
    with (tmp_path / "winnow/intake/names.py").open("a") as file:
        file.write("# another line\n")
    after = yaml.safe_load(mark_text(TEXT, tmp_path))
    changed = {stage for stage in HERE["stages"] if before["stages"][stage] != after["stages"][stage]}
    assert changed == {stage for stage in HERE["stages"] if "winnow/intake" in body(HERE, stage)["deps"]}
    assert "prepare" in changed
    assert before["winnow"]["code"] != after["winnow"]["code"]
