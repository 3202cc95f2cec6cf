"""Accidents and slips around a finished pipeline: what is said, and that the next run makes the same bytes again."""

import hashlib
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo, lock_repo

from tests.support.processes import commands_below, ended, on_a_full_disk
from tests.support.workspace import Workspace
from winnow.commands.checks import check_lock
from winnow.pipeline.messages import UserError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return finished.copy(tmp_path_factory.mktemp("faults") / "repository")


@pytest.fixture
def locked(workspace: Workspace) -> bytes:
    """What dvc.lock must say again when a test has ended."""
    return (workspace.folder / "dvc.lock").read_bytes()


def back_to(workspace: Workspace, lock: bytes) -> bool:
    """Whether everything is as it was."""
    same = (workspace.folder / "dvc.lock").read_bytes() == lock
    clean = workspace.run("git", "status", "--porcelain").stdout == ""
    return same and clean and workspace.dvc("status", "--quiet", check=False).returncode == 0


def stages_in(lock: bytes) -> dict[str, dict[str, Any]]:
    stages: dict[str, dict[str, Any]] = yaml.safe_load(lock)["stages"]
    return stages


# --- by hand ----------------------------------------------------------------------------------------------------


def test_an_output_edited_by_hand_is_seen_and_made_again(workspace: Workspace, locked: bytes) -> None:
    table = workspace.folder / "data/r1/neighboured/samples.parquet"
    before = table.read_bytes()
    table.write_bytes(before + b"edited")
    assert "data/r1/neighboured" in workspace.dvc("status").stdout
    workspace.dvc("repro")
    assert table.read_bytes() == before
    assert back_to(workspace, locked)


@pytest.mark.parametrize("output", ["data/r1/influenced", "data/refined", "models/r1/policy.json"])
def test_an_output_gone_from_the_cache_is_made_again(workspace: Workspace, locked: bytes, output: str) -> None:
    place = workspace.folder / output
    outs = [out for stage in stages_in(locked).values() for out in stage["outs"] if out["path"] == output]
    named = outs[0]["md5"]
    (workspace.folder / ".dvc/cache/files/md5" / named[:2] / named[2:]).unlink()
    workspace.run("rm", "-r", str(place))
    failed = workspace.dvc("checkout", output, check=False)
    assert failed.returncode != 0
    assert output in failed.stdout + failed.stderr
    workspace.dvc("repro")
    assert place.exists()
    assert back_to(workspace, locked)


UNPICKLED = b"cos\nmkdir\n(Vunpickled\ntR."  # a pickle that makes a folder where it is loaded


def test_the_planted_pickle_would_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(UNPICKLED)
    assert (tmp_path / "unpickled").is_dir()


@pytest.mark.parametrize(
    ("path", "spoil", "stage", "words"),
    [
        ("models/r1/policy.json", lambda old: old.replace(b'"probability"', b'"chance"', 1), "augment@r1", "chance"),
        ("models/r1/policy.json", lambda old: old[:100], "augment@r1", "is not valid JSON"),
        ("data/r1/influenced/samples.parquet", lambda old: old[:-20], "augment@r1", "no whole parquet|not a whole"),
        ("data/r1/influenced/samples.parquet", lambda old: b"", "search_policy@r1", "not a whole parquet table"),
        ("data/prepared/images", lambda old: old[: len(old) // 2], "value@r1", "not a complete image shard"),
        ("models/r1/encoders/space-0-0.safetensors", lambda old: UNPICKLED, "embed@r1", "space-0-0.safetensors"),
        ("models/r1/policy.json", lambda old: UNPICKLED, "augment@r1", "is not valid JSON"),
        ("data/r1/influenced/samples.parquet", lambda old: UNPICKLED, "augment@r1", "not a whole parquet table"),
        ("models/r1/encoders/class-0-1.safetensors", lambda old: old[:-9], "cleanse_final@r1", "class-0-1.safetensors"),
        ("data/r1/embeddings/classes.parquet", lambda old: old[9:], "cleanse_neighbours@r1", "classes.parquet"),
        ("data/r1/influence/scores.parquet", lambda old: b"PAR1", "cleanse_influence@r1", "scores.parquet"),
        ("data/r1/embeddings/neighbours.parquet", lambda old: b"PAR1", "cleanse_neighbours@r1", "neighbours.parquet"),
    ],
)
def test_a_tampered_input_stops_the_stage_with_a_reason(
    workspace: Workspace, locked: bytes, path: str, spoil: Callable[[bytes], bytes], stage: str, words: str
) -> None:
    file = workspace.folder / path
    file = next(file.glob("*.parquet")) if file.is_dir() else file
    before = file.read_bytes()
    file.write_bytes(spoil(before))
    done = workspace.run(*shlex.split(stages_in(locked)[stage]["cmd"]), check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (workspace.folder / "unpickled").exists()
    assert any(word in done.stderr for word in words.split("|")), done.stderr
    (way_back,) = re.findall("`dvc (checkout --force [^`]+)`", done.stderr)
    workspace.dvc(*way_back.split())
    assert file.read_bytes() == before
    workspace.run("git", "checkout", "--quiet", "--", ".")
    workspace.dvc("checkout", "--force")


def test_a_merge_conflict_in_the_lock_says_how_to_end_it(workspace: Workspace, locked: bytes) -> None:
    file = workspace.folder / "dvc.lock"
    file.write_bytes(b"<<<<<<< HEAD\n" + locked + b"=======\n" + locked + b">>>>>>> other\n")
    done = workspace.run(sys.executable, "-m", "winnow", "run", check=False)
    file.write_bytes(locked)
    assert done.returncode == 1
    assert "dvc.lock holds a merge conflict" in done.stderr
    assert "git checkout --ours dvc.lock" in done.stderr
    assert back_to(workspace, locked)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"", id="before the first byte"),
        pytest.param(b"    outs:\n    - path: data/refined\n      hash:", id="in a stage's outputs, unreadable"),
        pytest.param(b"    outs:\n    - path: data/refined\n", id="in a stage's outputs, readable"),
    ],
)
def test_a_lock_cut_short_is_mended_and_made_whole_again(
    workspace: Workspace, locked: bytes, end: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end in locked
    (workspace.folder / "dvc.lock").write_bytes(locked[: locked.index(end) + len(end)])
    refused = workspace.dvc("status", check=False).returncode != 0
    check_lock(workspace.folder)
    assert ("dvc.lock was cut short" in capsys.readouterr().out) == refused
    workspace.dvc("repro")
    assert back_to(workspace, locked)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("\ngate:", "\ngaet:", "gaet is unknown"),
        ("\ngate:", "\nextra: {a: 1}\ngate:", "extra is unknown"),
        ("votes:", "vote:", "cleanse_influence.vote is unknown"),
        ("  guard: true", "  guard: 2", "cleanse_influence.guard must be bool"),
        ("- shear_x\n", "- shear_z\n", "operations names 'shear_z', which is unknown"),
        ("  budget: ", "  budget: 1 #", "augment.budget is 1"),
        ("\ngate:", "\n<<<<<<< HEAD\ngate:", "merge conflict"),
    ],
)
def test_a_slip_in_the_params_is_one_sentence(
    workspace: Workspace, locked: bytes, before: str, after: str, words: str
) -> None:
    file = workspace.folder / "params.yaml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))
    done = workspace.run(sys.executable, "-m", "winnow", "run", check=False)
    file.write_text(text)
    workspace.dvc("checkout")
    workspace.run("git", "checkout", "--quiet", "--", ".")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "stages.value" not in done.stdout  # before any training
    assert back_to(workspace, locked)


# --- two at once ------------------------------------------------------------------------------------------------


def test_two_runs_at_once_do_not_spoil_each_other(workspace: Workspace, locked: bytes) -> None:
    command = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item", "value@r1"]
    kinds: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with ended(subprocess.Popen(command, cwd=workspace.folder, env=workspace.environment(), **kinds)) as first:
        while not any("stages.value" in command for command in commands_below(first.pid)):
            assert first.poll() is None
            time.sleep(0.02)
        second = workspace.run(*command, check=False)
        output = first.communicate()[0]
    # Either may find that the other holds a lock of DVC's for a moment: it says so, and one of them does the work.
    for returncode, told in ((first.returncode, output), (second.returncode, second.stdout + second.stderr)):
        busy = "is busy, it is being blocked by" in told or "Unable to acquire lock" in told
        assert returncode == 0 or busy, told
        assert "Traceback" not in told
    assert 0 in (first.returncode, second.returncode)
    assert back_to(workspace, locked)


def test_a_lock_is_not_mended_while_dvc_may_be_writing_it(
    workspace: Workspace, locked: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file, half = workspace.folder / "dvc.lock", locked[: locked.rindex(b"hash: md5") + 5]
    with Repo(workspace.folder) as repo, lock_repo(repo):
        file.write_bytes(half)
        with pytest.raises(UserError, match="cannot be read, and DVC is at work here"):
            check_lock(workspace.folder)
        assert file.read_bytes() == half
        file.write_bytes(locked)  # the other has written it to the end
    check_lock(workspace.folder)
    assert capsys.readouterr().out == ""
    assert back_to(workspace, locked)


# --- a full disk ------------------------------------------------------------------------------------------------

LIMIT = 400  # bytes a file may have: every stage writes a larger one


def test_a_full_disk_stops_every_writing_stage_and_the_way_back_works(workspace: Workspace, locked: bytes) -> None:
    for name, stage in stages_in(locked).items():
        if "@" in name and not name.endswith(("@r1", "@baseline")):
            continue  # the same script
        if name.startswith("judge"):  # it would find its seeds done, and write nothing
            for folder in ("models", "metrics"):
                shutil.rmtree(workspace.folder / folder / "judge/baseline")
        command, environment = shlex.split(stage["cmd"]), workspace.environment()
        done = on_a_full_disk(command, LIMIT, folder=workspace.folder, environment=environment)
        assert done.returncode == 1, f"{name}: {done.stderr}"
        assert "no room" in done.stderr, f"{name}: {done.stderr}"
        assert " bytes needed, " in done.stderr, f"{name}: {done.stderr}"
        assert "git checkout dvc.lock metrics" in done.stderr
        assert "Traceback" not in done.stderr, f"{name}: {done.stderr}"
        workspace.run("git", "checkout", "--quiet", "dvc.lock", "metrics")
        workspace.dvc("checkout", "--force", "--quiet")
    assert not list(workspace.folder.rglob("*.partial"))
    assert back_to(workspace, locked)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("no mount command here")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_cache_disk_leaves_what_was_there(workspace: Workspace, locked: bytes, small_disk: Path) -> None:
    (workspace.folder / ".dvc/config.local").write_text(f"[cache]\n    dir = {small_disk}\n")
    cache = workspace.folder / ".dvc/cache/files/md5"
    earlier = min(cache.glob("??/*"), key=lambda path: path.stat().st_size)
    there = small_disk / "files/md5" / earlier.relative_to(cache)
    there.parent.mkdir(parents=True)
    shutil.copy(earlier, there)
    try:
        (small_disk / "filler").write_bytes(b"x" * 970_000)
        done = workspace.dvc("repro", "--force", "--single-item", "prepare", check=False)
        assert done.returncode != 0
        assert "No space left" in done.stdout + done.stderr
        objects = list((small_disk / "files/md5").glob("??/*"))
        assert there in objects
        for path in objects:  # a name that lies would be believed by the next run
            named = path.parent.name + path.name.removesuffix(".dir")
            assert hashlib.md5(path.read_bytes()).hexdigest() == named or path.suffix == ".tmp", path
    finally:
        (workspace.folder / ".dvc/config.local").unlink()
    workspace.run("git", "checkout", "--quiet", "dvc.lock", "metrics")
    workspace.dvc("checkout", "--force")
    assert back_to(workspace, locked)
