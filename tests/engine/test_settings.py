"""engine.yaml and WINNOW_ENGINE."""

import sys
from pathlib import Path

import pytest

from winnow.engine.jobs import open_engine
from winnow.engine.settings import FILE, VARIABLE, Settings, load_settings
from winnow.pipeline.messages import UserError


def test_nothing_said_is_this_machine(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {}) == Settings(engine="local")


def test_the_variable_comes_before_the_file_and_leaves_the_rest_as_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        "engine: slurm\ncores: 7\ngpus: 1\nmemory: 1.5\nslurm:\n  options: {account: vision}\n"
    )
    given = load_settings(tmp_path, {})
    assert (given.engine, given.cores, given.memory, given.slurm.options) == ("slurm", 7, 1.5, {"account": "vision"})
    assert given.gpus == 1
    asked = load_settings(tmp_path, {VARIABLE: "ray"})
    assert (asked.engine, asked.cores, asked.slurm) == ("ray", 7, given.slurm)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("engine: dask", r"engine\.yaml: engine must be 'local', 'ray' or 'slurm', got 'dask'"),
        ("core: 2", r"engine\.yaml: core is unknown; known here: engine, address, cores"),
        ("cores: 0", r"engine\.yaml: cores must be at least 1, got 0"),
        ("cores: '2'", r"engine\.yaml: cores must be int, got '2' \(str\)"),
        ("memory: true", r"engine\.yaml: memory must be int or float, got True \(bool\)"),
        ("gpus: 2", r"engine\.yaml: gpus must be at most 1"),
        ("slurm: {minutes: 0}", r"engine\.yaml: slurm\.minutes must be at least 1, got 0"),
        ("- ray", r"engine\.yaml must hold settings such as `engine: ray`, got"),
        ("engine: [", r"engine\.yaml is not valid YAML"),
    ],
)
def test_a_slip_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=sentence):
        load_settings(tmp_path, {})


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(UserError, match=r"engine\.yaml cannot be read \(Is a directory\)"):
        load_settings(tmp_path, {})


def test_an_unknown_name_in_the_variable_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="WINNOW_ENGINE must be local, ray, slurm or unset, got 'dask'"):
        load_settings(tmp_path, {VARIABLE: "dask"})


def test_an_engine_whose_package_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "winnow.engine.ray", raising=False)
    with pytest.raises(
        UserError, match=r"the engine ray needs ray: pip install --requirement requirements-engine\.txt"
    ):
        open_engine(Settings(engine="ray"), 1, "math")
