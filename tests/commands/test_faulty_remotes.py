"""Push and pull against a server that lies, stops and stalls: the remote ends up right, or a sentence says why not."""

import copy
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.faulty_s3 import BUCKET, FaultyS3, Stored, faulty_s3
from tests.support.shell import commit_all, new_repository, shell

pytestmark = pytest.mark.slow

CONTENT = {"a": b"a" * 5000, "b": b"b" * 5000}
FOLDER = Path("data/refined")
ALWAYS = 1e9


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Stored]]:
    """A repository, and the objects that a server has of it."""
    folder = tmp_path_factory.mktemp("made") / "here"
    with pytest.MonkeyPatch.context() as patch, faulty_s3() as server:
        new_repository(folder, patch)
        FOLDER.mkdir(parents=True)
        for name, content in CONTENT.items():
            (FOLDER / name).write_bytes(content)
        assert shell(f"dvc add --quiet {FOLDER}") == 0
        connect(server, patch)
        commit_all()
        assert shell("winnow push") == 0
        assert len(server.objects) == 3
    return folder, server.objects


def connect(server: FaultyS3, patch: pytest.MonkeyPatch) -> None:
    """Make the server this repository's remote, with few retries and short timeouts."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }.items():
        patch.setenv(name, value)
    patch.setattr("s3fs.S3FileSystem.retries", 2)
    Path(".dvc/config").write_text(
        f"[core]\n    remote = team\n['remote \"team\"']\n    url = s3://{BUCKET}/cache\n    region = us-east-1\n"
        f"    endpointurl = {server.endpoint}\n    verify = true\n    read_timeout = 1\n    connect_timeout = 1\n"
    )


@pytest.fixture
def server(made: tuple[Path, dict[str, Stored]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """A server that has everything; the test works in the repository that pushed it."""
    new_repository(tmp_path / "nobody", monkeypatch)
    shutil.copytree(made[0], tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    with faulty_s3() as server:
        server.objects = copy.deepcopy(made[1])
        connect(server, monkeypatch)
        yield server


Command = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def winnow(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this folder: the exit code and the lines."""

    def run(*words: str) -> tuple[int, list[str]]:
        capfd.readouterr()
        code = shell(" ".join(["winnow", *words]))
        told = capfd.readouterr()
        assert "Traceback" not in told.err
        return code, (told.out + told.err).splitlines()

    return run


def forget() -> None:
    """What a new clone lacks: the data, here and in the cache."""
    for folder in (FOLDER, Path(".dvc/cache"), Path(".dvc/tmp")):
        shutil.rmtree(folder, ignore_errors=True)


def stored(server: FaultyS3, name: str) -> Stored:
    md5 = hashlib.md5(CONTENT[name]).hexdigest()
    return server.objects[f"cache/files/md5/{md5[:2]}/{md5[2:]}"]


def right(server: FaultyS3) -> bool:
    return all(stored(server, name).body == content for name, content in CONTENT.items())


def half(server: FaultyS3, *, etag: str | None = "old", size: int | None = None) -> None:
    """The server keeps half of an object."""
    found = stored(server, "a")
    found.body = found.body[: len(found.body) // 2]
    found.size = len(found.body) if size is None else size
    found.etag = found.etag if etag == "old" else etag


MULTIPART = f"{'0' * 32}-2"


@pytest.mark.parametrize("etag", ["old", None, MULTIPART])
def test_half_an_object_is_sent_again(server: FaultyS3, winnow: Command, tmp_path: Path, etag: str | None) -> None:
    half(server, etag=etag)
    shutil.copytree(".", tmp_path / "there")
    code, lines = winnow("push")
    assert (code, lines[-1]) == (0, "push: remote 'team': 1 objects sent, 3 verified")
    assert right(server)
    forget()
    assert winnow("pull")[0] == 0
    assert {name: (FOLDER / name).read_bytes() for name in CONTENT} == CONTENT


@pytest.mark.parametrize("etag", [None, MULTIPART])
def test_a_sound_object_whose_etag_says_nothing_is_read_and_not_sent(
    server: FaultyS3, winnow: Command, etag: str | None
) -> None:
    stored(server, "a").etag = etag
    server.requests.clear()
    assert winnow("push") == (0, ["push: remote 'team': 0 objects sent, 3 verified"])
    assert (server.requests["GET"], server.requests["PUT"]) == (1, 0)
    stored(server, "a").body = bytes(5000)
    assert winnow("push") == (0, ["push: remote 'team': 1 objects sent, 3 verified"])
    assert right(server)


def test_what_only_reading_back_shows_is_mended_as_the_pull_advises(server: FaultyS3, winnow: Command) -> None:
    """The size and the ETag are right, and half of the bytes are gone."""
    half(server, size=5000)
    assert winnow("push") == (0, ["push: remote 'team': 0 objects sent, 3 verified"])
    shutil.copytree(".", "../there")
    forget()
    code, lines = winnow("pull")
    assert code == 1
    assert lines[-2] == f"pull: {FOLDER}/a is damaged there"
    assert "`make push VERIFY=1`" in lines[-1]
    assert not FOLDER.exists()
    shutil.rmtree(".dvc")
    shutil.copytree("../there/.dvc", ".dvc")
    assert winnow("push", "--verify") == (0, ["push: remote 'team': 1 objects sent, 3 verified"])
    assert right(server)
    forget()
    assert winnow("pull")[0] == 0


def test_a_server_that_keeps_half_of_what_is_sent(server: FaultyS3, winnow: Command) -> None:
    server.objects.clear()
    server.torn = True
    code, lines = winnow("push", "--verify")
    assert code == 1
    assert any(line.startswith(f"push: {FOLDER} ") or f"{FOLDER}/a" in line for line in lines)
    assert lines[-1] == "the same command sends the rest, once remote 'team' takes it"
    server.torn = False
    assert winnow("push", "--verify")[0] == 0
    assert right(server)


@pytest.mark.parametrize("kind", [500, "reset", "slow"])
@pytest.mark.parametrize("method", ["LIST", "PUT"])
@pytest.mark.parametrize("times", [1, ALWAYS])
def test_a_push_that_meets_an_error(
    server: FaultyS3, winnow: Command, method: str, kind: int | str, times: float
) -> None:
    half(server)
    server.faults = {method: (kind, times)}
    code, lines = winnow("push")
    assert code == int(times == ALWAYS or kind == 500)  # the clients here try again after a reset and a timeout alone
    if code:
        said = f"push: {FOLDER}/a failed: " if method == "PUT" else "push: the remote does not answer; its error: "
        assert lines[0].startswith(said)
        server.faults = {}
        code, lines = winnow("push")
    assert code == 0
    assert right(server)


@pytest.mark.parametrize("kind", [500, "reset", "short"])
def test_reading_back_that_meets_an_error(server: FaultyS3, winnow: Command, kind: int | str) -> None:
    server.faults = {"GET": (kind, 1)}
    assert winnow("push", "--verify")[0] == 0
    assert right(server)
    server.faults = {"GET": (kind, ALWAYS)}
    code, lines = winnow("push", "--verify")
    assert code == 1
    assert lines[0].startswith(f"push: {FOLDER} cannot be read back (failed: ")
    assert lines[-1] == "the same command sends the rest, once remote 'team' takes it"


@pytest.mark.parametrize("kind", [500, "reset", "slow", "short"])
@pytest.mark.parametrize("times", [1, ALWAYS])
def test_a_pull_that_meets_an_error(server: FaultyS3, winnow: Command, kind: int | str, times: float) -> None:
    forget()
    server.faults = {"GET": (kind, times)}
    code, lines = winnow("pull")
    assert code == int(times == ALWAYS or kind == 500)
    if code:
        assert lines[-2].startswith(f"pull: {FOLDER} failed: ")
        assert lines[-1] == "data/ is as it was; the same command fetches the rest, once the remote answers"
        assert not FOLDER.exists()
        server.faults = {}
        assert winnow("pull")[0] == 0
    assert {name: (FOLDER / name).read_bytes() for name in CONTENT} == CONTENT


def test_a_head_that_fails_matters_to_nobody(server: FaultyS3, winnow: Command) -> None:
    server.faults = {"HEAD": (500, ALWAYS)}
    assert winnow("push", "--verify")[0] == 0
    forget()
    assert winnow("pull")[0] == 0


def test_a_remote_that_fails_every_read_is_given_up_soon(server: FaultyS3, winnow: Command) -> None:
    for number in range(4):
        (FOLDER / str(number)).write_text(str(number))
    assert shell(f"dvc add --quiet {FOLDER} && winnow push") == 0
    server.requests.clear()
    server.faults = {"GET": (500, ALWAYS)}
    code, lines = winnow("push", "--verify")
    assert code == 1
    assert lines == ["push: the remote fails when objects are read back; its error: failed: [Errno 121] We failed"]
    assert server.requests["PUT"] == 0
    assert server.requests["GET"] <= 4 * 2  # objects, attempts
    code, lines = winnow("fsck", "--remote", "--verify")
    assert code == 2
    assert len(lines) == 1


def test_fsck_names_what_is_wrong_on_the_server(server: FaultyS3, winnow: Command) -> None:
    half(server)
    code, lines = winnow("fsck", "--remote")
    assert code == 1
    assert lines[0].startswith(
        f"{FOLDER}/a (data/refined.dvc): remote 'team': has 2,500 bytes there instead of 5,000; "
    )
    assert shell(lines[0].split("`")[1]) == 0
    assert right(server)
    half(server, size=5000)
    assert winnow("fsck", "--remote")[0] == 0
    assert winnow("fsck", "--remote", "--verify")[0] == 1
    server.faults = {"LIST": (500, ALWAYS)}
    code, lines = winnow("fsck", "--remote")
    assert code == 2
    assert lines[0].startswith("fsck: the remote does not answer")
