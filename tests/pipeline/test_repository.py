"""Which repository a command is about, and whether the code installed is the one that it names."""

from pathlib import Path

import pytest

from winnow.commands.where import demand_pipeline
from winnow.pipeline.installed import code_digest, demand_same_code
from winnow.pipeline.messages import UserError
from winnow.pipeline.repository import find_root


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder of code."""
    for name in ("winnow", "stages"):
        (tmp_path / f"code/{name}").mkdir(parents=True)
        (tmp_path / f"code/{name}/one.py").write_text(f"# {name}\n")
    (tmp_path / "code/pyproject.toml").write_text('[project]\nname = "winnow"\nversion = "2.0"\n')
    return tmp_path / "code"


@pytest.fixture
def own(tmp_path: Path, code: Path) -> Path:
    """A repository of one's own, of that code."""
    (tmp_path / "own/.dvc").mkdir(parents=True)
    (tmp_path / "own/data/r1").mkdir(parents=True)
    mark(tmp_path / "own", "2.0", code_digest(code))
    return tmp_path / "own"


def mark(folder: Path, version: str, digest: str) -> None:
    (folder / "winnow.lock").write_text(f"winnow:\n  version: '{version}'\n  code: {digest}\nstages: {{}}\n")


def test_in_a_repository_of_ones_own_it_is_that_one(own: Path, code: Path) -> None:
    assert find_root(own, code) == own
    assert find_root(own / "data/r1", code) == own


def test_elsewhere_it_is_that_of_the_code(own: Path, code: Path, tmp_path: Path) -> None:
    assert find_root(tmp_path, code) == code
    assert find_root(code, code) == code
    (own / "data/other/.dvc").mkdir(parents=True)  # the nearest repository is another one
    assert find_root(own / "data/other", code) == code


def test_a_folder_that_was_removed_is_none(tmp_path: Path, code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert find_root(None, code) == code


def test_the_code_that_winnow_lock_names_may_run(own: Path, code: Path) -> None:
    demand_same_code(own, code)
    (code / "winnow/__pycache__").mkdir()
    (code / "winnow/__pycache__/one.pyc").write_bytes(b"compiled")
    demand_same_code(own, code)
    demand_same_code(code, code)  # a clone has no winnow.lock


def test_files_that_the_clones_user_may_edit_are_no_code(own: Path, code: Path) -> None:
    delivered = code / "winnow/template/files/params.yaml"
    delivered.parent.mkdir(parents=True)
    delivered.symlink_to(code / "params.yaml")
    (code / "params.yaml").write_text("source: a\n")
    demand_same_code(own, code)
    (code / "params.yaml").write_text("source: b\n")
    demand_same_code(own, code)
    (code / "winnow/template/contents.py").touch()
    with pytest.raises(UserError, match=r"another build of Winnow 2\.0"):
        demand_same_code(own, code)


@pytest.mark.parametrize(
    ("version", "why"), [("1.0", r"Winnow 2\.0 is installed, .* names 1\.0"), ("2.0", r"another build of Winnow 2\.0")]
)
def test_other_code_may_not(own: Path, code: Path, version: str, why: str) -> None:
    mark(own, version, "ab" * 32)
    with pytest.raises(UserError, match=why) as caught:
        demand_same_code(own, code)
    assert "pip install --requirement requirements.txt" in str(caught.value)
    assert "`winnow init --upgrade`" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "winnow: 3\n", "winnow: {version: '1'}\n", "a: [\n", "winnow: {version: 1, code: a}\n"]
)
def test_a_damaged_mark_is_one_sentence(own: Path, code: Path, text: str) -> None:
    (own / "winnow.lock").write_text(text)
    with pytest.raises(UserError, match=r"winnow\.lock .*`git checkout winnow\.lock` brings it back"):
        demand_same_code(own, code)


def test_a_command_about_a_pipeline_needs_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demand_pipeline("init", tmp_path)
    with pytest.raises(SystemExit) as end:
        demand_pipeline("run", tmp_path)
    assert end.value.code == 2
    assert "make one with `winnow init DIR`" in capsys.readouterr().err
    (tmp_path / "dvc.yaml").touch()
    demand_pipeline("run", tmp_path)
