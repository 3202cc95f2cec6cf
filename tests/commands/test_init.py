"""``winnow init``: what it makes, what it refuses, and what it leaves when it fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.imports import ROOT
from tests.support.sources import bare_files, make_folder
from winnow.commands.edited_params import edited_text
from winnow.commands.init import answer, create
from winnow.pipeline.installed import code_digest, read_mark, version
from winnow.pipeline.messages import UserError
from winnow.template.contents import PLAIN
from winnow.template.delivered import FOLDER, delivered


@pytest.fixture(autouse=True)
def nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, "/nowhere")
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)


PRIVATE = "../my-private-photos.zip"


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_everything_stands_ready_to_be_committed(tmp_path: Path) -> None:
    told = create("mine", "", "", tmp_path)
    folder = tmp_path / "mine"
    assert f"{folder} is a repository of its own" in told
    assert "cd mine" in told
    status = git(folder, "status", "--porcelain", "--ignored").splitlines()
    assert {line[:2] for line in status if not line.endswith(".dvc/tmp/")} == {"A "}
    assert git(folder, "symbolic-ref", "HEAD").strip() == "refs/heads/main"
    names = git(folder, "ls-files").split()
    assert ".delivered/params.yaml.delivered" in names  # what an upgrade merges with
    wanted = {"dvc.yaml", "params.yaml", "winnow.lock", "requirements.txt", "constraints.txt", "Makefile", "README.md"}
    wanted |= {"overrides.csv", "decided.csv", "checked.csv", "predictions.csv", "embeddings.csv"}
    wanted |= {".gitignore", ".gitattributes", ".dvcignore", ".dvc/config", "models/user/README.md"}
    wanted |= {f"presets/{file.name}" for file in (ROOT / "presets").iterdir()}
    assert wanted <= set(names)
    assert all((folder / name).read_text() == delivered(there) for name, there in PLAIN.items())
    assert len((folder / "README.md").read_text().splitlines()) <= 12
    assert sorted(os.listdir(tmp_path)) == ["mine"]


def test_the_current_folder_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert "  cd" not in create(".", "", "", tmp_path / "mine")
    assert (tmp_path / "mine/dvc.yaml").is_file()


def test_a_source_is_checked_and_stored_as_seen_from_the_repository(tmp_path: Path) -> None:
    make_folder(tmp_path / "my photos", bare_files(12))
    create("mine", "my photos", "", tmp_path)
    assert yaml.safe_load((tmp_path / "mine/params.yaml").read_text())["dataset"]["source"] == "../my photos"
    before = delivered("params.yaml").splitlines()
    after = (tmp_path / "mine/params.yaml").read_text().splitlines()
    assert len([line for line in after if line not in before]) == 1


@pytest.mark.parametrize(
    ("address", "stored"), [("../store", "{above}/store"), ("/a/store", "/a/store"), ("s3://b/c", "s3://b/c")]
)
def test_a_remote_is_the_default_and_verified(tmp_path: Path, address: str, stored: str) -> None:
    (tmp_path / "here").mkdir()
    create("mine", "", address, tmp_path / "here")
    folder = tmp_path / "here/mine"
    config = (folder / ".dvc/config").read_text()
    assert "remote = team" in config
    assert f"url = {stored.format(above=tmp_path)}\n" in config
    assert "verify = True" in config
    assert "autostage = false" in config
    extra = address.startswith("s3")
    assert ("winnow[remote]" in (folder / "requirements.txt").read_text()) == extra
    assert ("dvc-s3==" in (folder / "constraints.txt").read_text()) == extra


@pytest.mark.parametrize(
    ("source", "remote", "why"),
    [
        ("nowhere", "", "nowhere"),
        ("", "gopher://somewhere", "--remote gopher://somewhere cannot be used"),
    ],
)
def test_what_cannot_be_used_leaves_nothing(tmp_path: Path, source: str, remote: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        create("mine", source, remote, tmp_path)
    assert not os.listdir(tmp_path)


def test_a_failure_of_git_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    with pytest.raises(UserError, match="git is not installed"):
        create("mine", "", "", tmp_path)
    assert not os.listdir(tmp_path)


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"):
        create("file/mine", "", "", tmp_path)
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_with_anything_in_it_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/.hidden").write_text("mine")
    with pytest.raises(UserError, match="is not empty, and nothing in it was touched"):
        create("mine", "", "", tmp_path)
    assert os.listdir(tmp_path / "mine") == [".hidden"]
    assert (tmp_path / "mine/.hidden").read_text() == "mine"


@pytest.mark.parametrize("words", [[], ["--upgrade", "mine"], ["--upgrade", "--source", "x"]])
def test_a_command_line_without_a_meaning_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        answer(words, tmp_path)
    assert end.value.code == 2
    assert "winnow init" in capsys.readouterr().err
    assert not os.listdir(tmp_path)


def test_a_home_directory_in_params_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make_folder(tmp_path / "photos", bare_files(12))
    told = create("mine", str(tmp_path / "photos"), "", tmp_path)
    assert "warning: params.yaml, which git passes on, now names a home directory" in told
    assert version() in told


# --- a clone that its user works in ---------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the present code, with a remote that its user committed and a source that nobody committed."""
    folder = tmp_path / "clone"
    folder.mkdir()
    linked = {file.resolve().relative_to(ROOT) for file in FOLDER.rglob("*") if file.is_file()}
    for path in [*linked, Path("pyproject.toml"), Path(".dvc/config")]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    for name in ("winnow", "stages"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=unwanted, dirs_exist_ok=True)
    with (folder / ".dvc/config").open("a") as config:
        config.write("['remote \"team\"']\n    url = s3://client-a/photos\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all", "--force")
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    git(folder, *author, "commit", "--quiet", "--message", "a remote of ours")
    params = folder / "params.yaml"
    params.write_text(edited_text(params.read_text(), {"dataset.source": PRIVATE}))
    for name in ("presets/glance.yaml", "Makefile", ".gitignore"):
        with (folder / name).open("a") as file:
            file.write(f"\n# {PRIVATE}\n")
    return folder


def made_by(clone: Path, above: Path) -> str:
    command = [sys.executable, "-m", "winnow", "init", "mine"]
    done = subprocess.run(
        command, cwd=above, env=os.environ | {"PYTHONPATH": str(clone)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_user_of_the_clone_wrote_into_it_is_not_delivered(clone: Path, tmp_path: Path) -> None:
    assert f"git+{clone.as_uri()}@{git(clone, 'rev-parse', 'HEAD').strip()}" in made_by(clone, tmp_path)
    folder = tmp_path / "mine"
    texts = [file.read_text() for file in folder.rglob("*") if file.is_file() and ".git" not in file.parts]
    assert len(texts) > 20
    assert not [text for text in texts if PRIVATE in text or "client-a" in text]
    assert (folder / "params.yaml").read_text() == git(clone, "show", "HEAD:params.yaml")
    assert code_digest(clone) == read_mark(folder)["code"]
    git(clone, "checkout", "--quiet", ".")
    assert code_digest(clone) == read_mark(folder)["code"]


def test_a_clone_whose_commit_cannot_be_read_delivers_nothing(clone: Path, tmp_path: Path) -> None:
    (clone / ".git/HEAD").write_text("ref: refs/heads/none\n")
    with pytest.raises(
        AssertionError, match=r"params\.yaml is delivered as the clone's last commit has it, and git says"
    ):
        made_by(clone, tmp_path)
    assert os.listdir(tmp_path) == ["clone"]


def test_a_commit_that_nobody_else_has_is_said(clone: Path, tmp_path: Path) -> None:
    git(clone, "remote", "add", "origin", "https://example.org/winnow.git")
    assert "the clone's last commit was not pushed; push it" in made_by(clone, tmp_path)
    shutil.rmtree(tmp_path / "mine")
    git(clone, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert "warning" not in made_by(clone, tmp_path)
