"""Accidents and slips around a finished pipeline: what is said, and that the next run makes the same bytes again."""

import hashlib
import pickle
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo, lock_repo

from tests.support.processes import commands_below, ended, on_a_full_disk
from tests.support.stages import run_here, stages_in
from tests.support.workspace import ALL, Workspace
from winnow.commands.checks import check_lock, check_merged, check_params, check_sections
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
    return same and not workspace.dirty() and workspace.status() == {}


# --- by hand ----------------------------------------------------------------------------------------------------


def test_an_output_edited_by_hand_is_seen_and_made_again(workspace: Workspace, locked: bytes) -> None:
    table = workspace.folder / "data/r1/cleanse_neighbours/dataset/samples.parquet"
    before = table.read_bytes()
    table.write_bytes(before + b"edited")
    assert "data/r1/cleanse_neighbours/dataset" in str(workspace.status())
    workspace.dvc("repro")
    assert table.read_bytes() == before
    assert back_to(workspace, locked)


def test_outputs_gone_from_the_cache_are_made_again(workspace: Workspace, locked: bytes) -> None:
    outs = {out["path"]: out["md5"] for stage in stages_in(workspace).values() for out in stage["outs"]}
    lost = ["data/r1/cleanse_influence/dataset", "data/refined", "models/r1/policy.json"]
    for output in lost:
        named, place = outs[output], workspace.folder / output
        (workspace.folder / ".dvc/cache/files/md5" / named[:2] / named[2:]).unlink(missing_ok=True)  # two may share it
        workspace.run("rm", "-r", str(place))
    failed = workspace.dvc("checkout", *lost, check=False)
    assert failed.returncode != 0
    assert all(output in failed.stdout + failed.stderr for output in lost)
    workspace.dvc("repro")
    assert all((workspace.folder / output).exists() for output in lost)
    assert back_to(workspace, locked)


UNPICKLED = b"cos\nmkdir\n(Vunpickled\ntR."  # a pickle that makes a folder where it is loaded


def test_the_planted_pickle_would_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(UNPICKLED)
    assert (tmp_path / "unpickled").is_dir()


INFLUENCED = "data/r1/cleanse_influence/dataset/samples.parquet"
PLACED = "data/r1/embed"


@pytest.mark.parametrize(
    ("path", "spoil", "stage", "words"),
    [
        ("models/r1/policy.json", lambda old: old.replace(b'"probability"', b'"chance"', 1), "augment@r1", "chance"),
        ("models/r1/policy.json", lambda old: old[:100], "augment@r1", "is not valid JSON"),
        (INFLUENCED, lambda old: old[:-20], "augment@r1", "no whole parquet|not a whole"),
        (INFLUENCED, lambda old: b"", "search_policy@r1", "not a whole parquet table"),
        ("data/prepared/images", lambda old: old[: len(old) // 2], "pixels", "not a complete image shard"),
        ("data/model.json", lambda old: old[:100], "value@r1", "is not valid JSON"),
        ("data/model.json", lambda old: old.replace(b'"pixels"', b'"side"'), "judge", "pixels"),
        ("data/pixels/index.parquet", lambda old: old[:-20], "value@r1", "not a whole parquet table"),
        ("data/pixels/*.npy", lambda old: old[:-64], "search_policy@r1", "is missing or damaged"),
        ("data/pixels/*.npy", lambda old: UNPICKLED, "ensemble@r1", "is missing or damaged"),
        ("models/r1/encoders/class-0-0.safetensors", lambda old: UNPICKLED, "embed@r1", "class-0-0.safetensors"),
        ("models/r1/policy.json", lambda old: UNPICKLED, "augment@r1", "is not valid JSON"),
        (INFLUENCED, lambda old: UNPICKLED, "augment@r1", "not a whole parquet table"),
        ("models/r1/encoders/class-0-1.safetensors", lambda old: old[:-9], "cleanse_final@r1", "class-0-1.safetensors"),
        (f"{PLACED}/classes.parquet", lambda old: old[9:], "cleanse_neighbours@r1", "classes.parquet"),
        ("data/r1/ensemble/classes.parquet", lambda old: old[9:], "value@r1", "classes.parquet"),
        ("data/r1/ensemble/planted.parquet", lambda old: b"PAR1", "cleanse_influence@r1", "planted.parquet"),
        (f"{PLACED}/planted.parquet", lambda old: old[:-20], "cleanse_final@r1", "planted.parquet"),
        ("data/r1/value/scores.parquet", lambda old: b"PAR1", "cleanse_influence@r1", "scores.parquet"),
        (f"{PLACED}/neighbours.parquet", lambda old: b"PAR1", "cleanse_neighbours@r1", "neighbours.parquet"),
        ("data/overrides.parquet", lambda old: UNPICKLED, "refined", "overrides.parquet"),
        ("data/decided.parquet", lambda old: UNPICKLED, "gate@r1", "decided.parquet"),
    ],
)
def test_a_tampered_input_stops_the_stage_with_a_reason(
    workspace: Workspace, path: str, spoil: Callable[[bytes], bytes], stage: str, words: str
) -> None:
    file = next(workspace.folder.glob(f"{path}/*.parquet"), None) or next(workspace.folder.glob(path))
    before = file.read_bytes()
    file.write_bytes(spoil(before))
    with pytest.raises(SystemExit) as stopped:
        run_here(workspace, stage)
    said = str(stopped.value)
    assert not (workspace.folder / "unpickled").exists()
    assert any(word in said for word in words.split("|")), said
    (way_back,) = re.findall("`dvc checkout --force ([^`]+)`", said)
    workspace.checkout(way_back)
    assert file.read_bytes() == before
    workspace.bring_back()


def test_a_tampered_input_is_a_sentence_of_the_stages_command(workspace: Workspace, locked: bytes) -> None:
    """As above, in a process of its own and with the advice followed to the letter."""
    file = workspace.folder / "models/r1/policy.json"
    before = file.read_bytes()
    file.write_bytes(UNPICKLED)
    done = workspace.run(*shlex.split(stages_in(workspace)["augment@r1"]["cmd"]), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("augment: ")
    assert done.stderr.count("\n") == 1
    (way_back,) = re.findall("`dvc (checkout --force [^`]+)`", done.stderr)
    workspace.dvc(*way_back.split())
    assert file.read_bytes() == before
    workspace.bring_back()
    assert back_to(workspace, locked)


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
        pytest.param(b"", id="before the first byte", marks=pytest.mark.campaign),
        pytest.param(b"    outs:\n    - path: data/refined\n      hash:", id="in a stage's outputs, unreadable"),
        pytest.param(
            b"    outs:\n    - path: data/refined\n", id="in a stage's outputs, readable", marks=pytest.mark.campaign
        ),
    ],
)
def test_a_lock_cut_short_is_mended_and_made_whole_again(
    workspace: Workspace, locked: bytes, end: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every other cut: tests/commands/test_checks.py, without a pipeline."""
    assert end in locked
    (workspace.folder / "dvc.lock").write_bytes(locked[: locked.index(end) + len(end)])
    refused = workspace.dvc("status", check=False).returncode != 0
    check_lock(workspace.folder)
    assert ("dvc.lock was cut short" in capsys.readouterr().out) == refused
    workspace.dvc("repro")
    assert back_to(workspace, locked)


SLIPS = [
    ("\ngate:", "\ngaet:", "gaet is unknown"),
    ("\ngate:", "\nextra: {a: 1}\ngate:", "extra is unknown"),
    ("votes:", "vote:", "cleanse_influence.vote is unknown"),
    ("  guard: true", "  guard: 2", "cleanse_influence.guard must be bool"),
    ("- rotate\n", "- rotat\n", "operations names 'rotat', which is unknown"),
    ("\ngate:", "\n<<<<<<< HEAD\ngate:", "merge conflict"),
]


@pytest.mark.parametrize(("before", "after", "words"), SLIPS)
def test_a_slip_in_the_params_is_one_sentence(
    workspace: Workspace, tmp_path: Path, before: str, after: str, words: str
) -> None:
    file, text = tmp_path / "params.yaml", (workspace.folder / "params.yaml").read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))
    with pytest.raises(UserError, match=re.escape(words)):
        check_all(file)


def check_all(params: Path) -> None:
    """As ``make run`` does before anything else."""
    check_merged([params])
    check_sections(params)
    check_params(params)


def test_what_the_images_do_not_allow_stops_a_run_before_any_training(workspace: Workspace, locked: bytes) -> None:
    """The driver's own process, after the stages that it runs before the check."""
    file = workspace.folder / "params.yaml"
    text = file.read_text()
    workspace.set_params({"synthesise.train_counts": [1, 8, 8, 8, 8, 8, 8, 8, 8, 8], "synthesise.wrong_labels": 0.0})
    done = workspace.run(sys.executable, "-m", "winnow", "run", check=False)
    file.write_text(text)
    assert done.returncode == 1
    assert "class i has 1 training images; 2 are the least" in done.stderr
    assert "Traceback" not in done.stderr
    assert "stages.value" not in done.stdout
    workspace.run("git", "checkout", "--quiet", "dvc.lock", "metrics")  # the source was another
    workspace.checkout()
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
FEW = ["prepare", "augment@r1", "judge", "report"]  # a reader, a writer of shards, workers, a page


@pytest.mark.parametrize(
    "stages", [pytest.param(FEW, id="few"), pytest.param(ALL, id="every", marks=pytest.mark.campaign)]
)
def test_a_full_disk_stops_a_writing_stage_and_the_way_back_works(
    workspace: Workspace, locked: bytes, stages: Sequence[str]
) -> None:
    for name in stages:
        if name == "judge":  # it would find its seeds done, and write nothing
            for folder in ("models", "metrics"):
                shutil.rmtree(workspace.folder / folder / "judge")
        command, environment = shlex.split(stages_in(workspace)[name]["cmd"]), workspace.environment()
        done = on_a_full_disk(command, LIMIT, folder=workspace.folder, environment=environment)
        assert done.returncode == 1, f"{name}: {done.stderr}"
        assert "no room" in done.stderr, f"{name}: {done.stderr}"
        assert " bytes needed, " in done.stderr, f"{name}: {done.stderr}"
        assert "git checkout dvc.lock metrics" in done.stderr
        assert "Traceback" not in done.stderr, f"{name}: {done.stderr}"
        workspace.run("git", "checkout", "--quiet", "dvc.lock", "metrics")
        workspace.checkout()
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
        (small_disk / "filler").write_bytes(b"x" * 990_000)
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
    workspace.checkout()
    assert back_to(workspace, locked)
