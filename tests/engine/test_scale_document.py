"""docs/scale.md: every engine.yaml in it is one, and together they show every setting."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from tests.support.imports import ROOT
from winnow.engine.settings import FILE, Settings, Slurm, load_settings

TEXT = (ROOT / "docs/scale.md").read_text(encoding="utf-8")


EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_read(tmp_path: Path, example: str) -> None:
    (tmp_path / FILE).write_text(example)
    settings = load_settings(tmp_path, {})
    given = yaml.safe_load(example)
    assert settings.engine == given["engine"]
    assert all(getattr(settings, name) == value for name, value in given.items() if name != "slurm")
    assert all(getattr(settings.slurm, name) == value for name, value in given.get("slurm", {}).items())


def test_the_examples_show_every_setting() -> None:
    shown: set[str] = set()
    for example in EXAMPLES:
        given = yaml.safe_load(example)
        shown |= given.keys() | {f"slurm.{name}" for name in given.get("slurm", {})}
    known = {field.name for field in dataclasses.fields(Settings)}
    known |= {f"slurm.{field.name}" for field in dataclasses.fields(Slurm)}
    assert shown == known
