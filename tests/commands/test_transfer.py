"""A refined set on a real S3 server: what is kept, what it costs, and what happens when the server fails."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dvc.config import Config

from bench.s3_server import REMOTE, S3Server, s3_server
from tests.bench.test_s3_server import eventually
from tests.support.datasets import make_dataset
from tests.support.imports import ROOT
from tests.support.repository import COUNTS, REFINED, Repository
from winnow.dataset.images import write_dataset
from winnow.dataset.samples import read_samples

FILES = 6  # of the large output

pytestmark = pytest.mark.slow


@pytest.fixture
def serve() -> Iterator[Callable[..., S3Server]]:
    """Starts servers that stop when the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(s3_server(*arguments, **options))


@pytest.fixture
def server(tmp_path: Path, serve: Callable[..., S3Server]) -> S3Server:
    return serve(tmp_path / "server")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a server's folder and a repository: one refined set, committed and pushed."""
    folder = tmp_path_factory.mktemp("template")
    with s3_server(folder / "server") as server:
        repository = Repository.new(folder / "here", server)
        make_dataset(repository.folder / REFINED, COUNTS)
        repository.dvc("add", "--quiet", REFINED)
        repository.commit()
        repository.winnow("push")
    return folder


@pytest.fixture
def pushed(template: Path, tmp_path: Path, serve: Callable[..., S3Server]) -> Repository:
    """The template on a server of the test's own."""
    shutil.copytree(template / "server/served", tmp_path / "server/served")
    shutil.copytree(template / "here", tmp_path / "here")
    repository = Repository(tmp_path / "here", serve(tmp_path / "server"))
    repository.server.configure(repository.folder, level="repo")
    repository.commit()
    return repository


def object_of(server: S3Server, content: bytes) -> Path:
    """The file that the server keeps an object in."""
    md5 = hashlib.md5(content).hexdigest()
    (found,) = (path for path in server.objects() if path.parent.name + path.name == md5)
    return found


def restarted(serve: Callable[..., S3Server], server: S3Server, **options: str) -> S3Server:
    """The same server, to its clients, which sees what happened in its folder meanwhile."""
    server.kill()
    return serve(server.folder, port=server.port, key=server.key, **options)


def damaged(content: bytes) -> bytes:
    return content[:-4] + bytes(255 - byte for byte in content[-4:])


def whole(path: Path) -> bool:
    """Whether an object has the hash that its name says."""
    return hashlib.md5(path.read_bytes()).hexdigest() == path.parent.name + path.stem


def shard(path: Path) -> bool:
    return pq.read_schema(path).names == ["id", "image"]


def objects_of(repository: Repository) -> int:
    """The objects that the refined set in the workspace is stored as: its files, and the list of them."""
    return sum(path.is_file() for path in (repository.folder / REFINED).rglob("*")) + 1


def large_output(repository: Repository) -> None:
    """Enough for a server to die in the middle of it, one file after another."""
    repository.dvc("remote", "modify", "--local", REMOTE, "jobs", "1")
    (repository.folder / REFINED).mkdir(parents=True)
    for number in range(FILES):
        (repository.folder / REFINED / f"{number}.bin").write_bytes(os.urandom(1_000_000))
    repository.dvc("add", "--quiet", REFINED)
    repository.commit()


# --- what it keeps ----------------------------------------------------------------------------------------------


def test_collecting_garbage_keeps_what_branches_and_tags_need(pushed: Repository, tmp_path: Path) -> None:
    objects = [objects_of(pushed)]

    def version(seed: int) -> bytes:
        make_dataset(pushed.folder / REFINED, COUNTS, seed=seed)
        pushed.dvc("add", "--quiet", REFINED)
        objects.append(objects_of(pushed))
        return (pushed.folder / REFINED / "samples.parquet").read_bytes()

    first = (pushed.folder / REFINED / "samples.parquet").read_bytes()
    pushed.run("git", "switch", "--quiet", "--create", "other")
    second = version(1)
    pushed.commit()
    pushed.run("git", "switch", "--quiet", "main")
    abandoned = version(2)
    pushed.dvc("push", "--quiet")
    pushed.run("git", "checkout", "--quiet", "--", ".")
    pushed.run("git", "checkout", "--quiet", "other")
    pushed.dvc("push", "--quiet")
    pushed.run("git", "checkout", "--quiet", "main")
    assert len(pushed.server.objects()) == sum(objects)
    pushed.dvc("gc", "--workspace", "--all-branches", "--all-tags", "--cloud", "--force", "--quiet")
    object_of(pushed.server, first)
    object_of(pushed.server, second)
    assert len(pushed.server.objects()) == len(pushed.cached()) == objects[0] + objects[1]
    with pytest.raises(ValueError, match="not enough values"):
        object_of(pushed.server, abandoned)
    there = pushed.clone(tmp_path / "there")  # which has main alone, and so does not know what the other needs
    there.dvc("gc", "--workspace", "--all-branches", "--all-tags", "--cloud", "--force", "--quiet")
    assert len(pushed.server.objects()) == objects[0]
    pushed.dvc("gc", "--workspace", "--force", "--quiet")  # nor does this
    assert len(pushed.cached()) == objects[0]


def test_writing_in_place_leaves_the_cache_whole(pushed: Repository) -> None:
    assert Config(str(pushed.folder / ".dvc"))["cache"]["type"] == ["reflink", "copy"]
    assert Config(str(ROOT / ".dvc")).load_one("repo")["cache"] == {"type": "reflink,copy"}
    pushed.dvc("checkout", "--relink", "--quiet")
    before = {path: path.read_bytes() for path in pushed.cached()}
    for file in (pushed.folder / REFINED).rglob("*.parquet"):
        assert file.stat().st_nlink == 1
        assert not file.is_symlink()
        with file.open("r+b") as stream:
            stream.write(b"in place")
    assert {path: path.read_bytes() for path in pushed.cached()} == before


def test_a_shared_folder_serves_as_well(pushed: Repository, tmp_path: Path) -> None:
    pushed.dvc("remote", "add", "--local", "folder", str(tmp_path / "team"))
    count = objects_of(pushed)
    assert f"{count} objects sent, {count} verified" in pushed.winnow("push", "--remote", "folder").stdout
    (table,) = (
        path for path in (tmp_path / "team").rglob("*") if path.is_file() and not path.suffix and not shard(path)
    )
    table.chmod(0o644)
    table.write_bytes(damaged(table.read_bytes()))
    there = pushed.clone(tmp_path / "there")
    failed = there.winnow("pull", "--remote", "folder", REFINED, check=False)
    assert failed.stderr.splitlines()[-2] == f"pull: {REFINED}/samples.parquet is damaged there"
    assert f"1 objects sent, {count} verified" in pushed.winnow("push", "--remote", "folder").stdout
    assert f"objects fetched, {count} verified" in there.winnow("pull", "--remote", "folder", REFINED).stdout
    assert there.dvc("status", "--quiet").returncode == 0


# --- what it costs ----------------------------------------------------------------------------------------------


def test_two_refined_versions_of_2000_images_cost_the_pixels_once(tmp_path: Path, server: S3Server) -> None:
    repository = Repository.new(tmp_path / "here", server)
    whole = make_dataset(tmp_path / "prepared", {"train": 1800, "val": 170, "label_book": 30})
    samples = read_samples(whole)
    assert len(samples) == 2000
    stored = []
    for kept in (samples.slice(0, 1990), samples.slice(0, 1950)):
        write_dataset(repository.folder / REFINED, kept, shards_from=[whole])
        repository.dvc("add", "--quiet", REFINED)
        repository.winnow("push")
        stored.append((len(server.objects()), server.stored_bytes()))
    shards = list((whole / "images").iterdir())
    pixels = sum(shard.stat().st_size for shard in shards)
    table = (repository.folder / REFINED / "samples.parquet").stat().st_size
    assert pixels > 400_000
    first = len(shards) + 2  # with table and list; then another table and list
    assert [count for count, _ in stored] == [first, first + 2]
    assert 0 < stored[0][1] - pixels - table < 5_000
    assert 0 < stored[1][1] - stored[0][1] - table < 1_000
    assert sum(object_of(server, shard.read_bytes()).stat().st_size for shard in shards) == pixels


# --- what fails -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "file"),
    [
        ("damaged", "samples.parquet"),
        ("truncated", "samples.parquet"),
        ("removed", "samples.parquet"),
        ("damaged", "list"),
        ("removed", "list"),
    ],
)
def test_a_faulty_object_is_named_kept_out_of_data_and_mended(
    pushed: Repository, serve: Callable[..., S3Server], tmp_path: Path, fault: str, file: str
) -> None:
    if file == "list":
        (stored,) = (path for path in pushed.server.objects() if path.suffix == ".dir")
        told = REFINED
    else:
        stored = object_of(pushed.server, (pushed.folder / REFINED / file).read_bytes())
        told = f"{REFINED}/{file}"
    content = stored.read_bytes()
    if fault == "removed":
        stored.unlink()
    else:
        stored.write_bytes(content[: len(content) // 2] if fault == "truncated" else damaged(content))
    restarted(serve, pushed.server)
    there = pushed.clone(tmp_path / "there")
    failed = there.winnow("pull", check=False)
    assert failed.returncode == 1
    what = "is not there" if fault == "removed" else "is damaged there"
    assert failed.stderr.splitlines()[-2] == f"pull: {told} {what}"
    assert "`make push VERIFY=1`" in failed.stderr.splitlines()[-1]
    assert not (there.folder / REFINED).exists()
    assert [path for path in there.cached() if not whole(path)] == []
    if (fault, file) == ("removed", "samples.parquet"):  # DVC believes the list, and sends nothing again
        assert "Everything is up to date" in pushed.dvc("push").stdout
    assert f"1 objects sent, {objects_of(pushed)} verified" in pushed.winnow("push").stdout
    assert stored.read_bytes() == content
    there.winnow("pull")
    assert read_samples(there.folder / REFINED).equals(read_samples(pushed.folder / REFINED))


def test_plain_pull_lets_nothing_damaged_in_either(
    pushed: Repository, serve: Callable[..., S3Server], tmp_path: Path
) -> None:
    """Where the remote has ``verify = true``, as the README says; without it the same pull ends well."""
    stored = object_of(pushed.server, (pushed.folder / REFINED / "samples.parquet").read_bytes())
    stored.write_bytes(damaged(stored.read_bytes()))
    restarted(serve, pushed.server)
    there = pushed.clone(tmp_path / "there")
    assert there.dvc("pull", check=False).returncode == 1
    assert not (there.folder / REFINED / "samples.parquet").exists()
    assert [path for path in there.cached() if not whole(path)] == []
    there.dvc("remote", "modify", "--local", REMOTE, "verify", "false")
    there.dvc("pull")
    assert there.dvc("status", "--quiet").returncode == 0
    assert [path for path in there.cached() if not whole(path)] != []
    failed = there.winnow("pull", check=False)  # sees through what is in the cache already
    assert failed.stderr.splitlines()[-2] == f"pull: {REFINED}/samples.parquet is damaged there"
    pushed.winnow("push")
    changed = there.winnow("pull", check=False)
    assert changed.stderr.splitlines()[-2] == f"pull: {REFINED}/samples.parquet is not what was pulled"
    (there.folder / REFINED / "samples.parquet").unlink()
    there.winnow("pull")
    assert there.dvc("status", "--quiet").returncode == 0


def test_a_server_killed_in_the_middle_of_a_push(tmp_path: Path, serve: Callable[..., S3Server]) -> None:
    server = serve(tmp_path / "server", limit="500K")
    repository = Repository.new(tmp_path / "here", server)
    large_output(repository)
    with repository.start("push") as pushing:
        assert eventually(lambda: len(server.objects()) > 0, 60)
        server.kill()
        _, told = pushing.communicate()
    assert pushing.returncode == 1
    assert "push: " in told
    assert f"{REFINED}/" in told
    assert "Traceback" not in told
    assert not [path for path in server.objects() if path.suffix == ".dir"]
    torn = min(server.objects(), key=lambda path: path.stat().st_size)
    torn.write_bytes(torn.read_bytes()[:1000])  # what some servers leave behind when they die
    restarted(serve, server)
    repository.dvc("push")
    assert not whole(torn)  # DVC believes the name
    repository.winnow("push")
    assert all(whole(path) for path in server.objects())
    assert len(server.objects()) == FILES + 1
    there = repository.clone(tmp_path / "there")
    there.winnow("pull")
    assert there.dvc("status", "--quiet").returncode == 0


def test_a_server_killed_in_the_middle_of_a_pull(tmp_path: Path, serve: Callable[..., S3Server]) -> None:
    server = serve(tmp_path / "server")
    repository = Repository.new(tmp_path / "here", server)
    large_output(repository)
    repository.winnow("push")
    server = restarted(serve, server, limit="500K")
    there = repository.clone(tmp_path / "there")
    with there.start("pull") as pulling:
        assert eventually(lambda: len(there.cached()) > 1, 60)
        server.kill()
        _, told = pulling.communicate()
    assert pulling.returncode == 1
    assert "pull: " in told
    assert f"{REFINED}/" in told
    assert "Traceback" not in told
    assert not (there.folder / REFINED).exists()
    assert [path for path in there.cached() if not whole(path)] == []
    restarted(serve, server)
    there.winnow("pull")
    assert there.dvc("status", "--quiet").returncode == 0
    assert len(there.cached()) == FILES + 1


def test_what_is_never_pushed_stays_here_and_is_not_missed_elsewhere(pushed: Repository, tmp_path: Path) -> None:
    private = b"for nobody else"
    (pushed.folder / "private").write_bytes(private)
    pushed.dvc("add", "--quiet", "private")
    pointer = pushed.folder / "private.dvc"
    pointer.write_text(pointer.read_text() + "  push: false\n")
    pushed.commit()
    pushed.winnow("push")
    with pytest.raises(ValueError, match="not enough values"):
        object_of(pushed.server, private)
    there = pushed.clone(tmp_path / "there")
    there.winnow("pull")
    assert (there.folder / REFINED).is_dir()
    assert not (there.folder / "private").exists()


def test_a_remote_that_is_not_there_and_a_repository_without_one(
    pushed: Repository, serve: Callable[..., S3Server], tmp_path: Path
) -> None:
    there = pushed.clone(tmp_path / "there")
    pushed.server.kill()
    for command in (["pull"], ["push"]):
        failed = (there if command == ["pull"] else pushed).winnow(*command, check=False)
        assert failed.returncode == 1
        assert failed.stderr.count("\n") <= 2
        assert "connect" in failed.stderr
    there.dvc("remote", "remove", REMOTE)
    none = there.winnow("pull", check=False)
    assert none.returncode == 1
    assert "dvc remote add" in none.stderr
