"""What README and docs/ name exists: make targets, commands, modules, params, links."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.imports import ROOT
from winnow.__main__ import COMMANDS

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
WIDTH = 120
GENERATED = {"formats.md", "results.md"}
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, _, name = dotted.rpartition(".")
    return is_module(dotted) or (is_module(module) and hasattr(importlib.import_module(module), name))


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def has_param(dotted: str) -> bool:
    value: Any = PARAMS
    for key in dotted.split("."):
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives the headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_commands_exist(document: Path) -> None:
    text = document.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.MULTILINE)) <= targets
    assert set(re.findall(r"(?:^|`)winnow ([a-z]+)", text, flags=re.MULTILINE)) <= set(COMMANDS)
    assert not [name for name in re.findall(r"python -m ((?:winnow|bench|stages)[\w.]*)", text) if not exists(name)]


@every_document
def test_code_and_params_that_are_named_exist(document: Path) -> None:
    named = re.findall(r"`((?:winnow|stages|bench)(?:\.\w+)+)`", document.read_text())
    assert not [name for name in named if not exists(name)]
    dotted = re.findall(r"(?<![\w./])([a-z_]+(?:\.[a-z_]+)+)(?=[=`])", document.read_text())
    sections = [name for name in dotted if name.split(".")[0] in PARAMS]
    assert not [name for name in sections if not has_param(name)]


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", document.read_text()):
        file, _, anchor = target.partition("#")
        path = document.parent / file if file else document
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), target


@pytest.mark.parametrize(
    "document",
    [one for one in [*DOCUMENTS, ROOT / "CHANGELOG.md"] if one.name not in GENERATED],
    ids=lambda document: document.name,
)
def test_lines_of_prose_are_short(document: Path) -> None:
    """Tables and formulas are lines of any length, and so is code."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL).splitlines()
    assert not [line for line in prose if len(line) > WIDTH and not line.startswith(("|", "$$"))]


def test_the_method_has_every_stage_in_the_order_of_the_pipeline() -> None:
    text = (ROOT / "docs/method.md").read_text()
    titles = [name for title in re.findall(r"^## (.*)$", text, flags=re.MULTILINE) for name in title.split(", ")]
    assert [name for name in titles if name in STAGES] == STAGES
    contents = re.findall(r"^\| (\[.*?) \|", text, flags=re.MULTILINE)
    listed = [name for row in contents for group in re.findall(r"\[(.*?)\]", row) for name in group.split(", ")]
    assert listed == STAGES


def test_the_readme_is_short_and_names_the_test_command() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= 900
    assert "make test " in text
