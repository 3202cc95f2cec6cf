"""``winnow fsck`` of a remote: what is broken there is named, and a push mends it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fsck import TEAM, THREE, Fsck, both, cut, list_of, remedy, remove, spoil, stored
from tests.support.shell import shell

REMOTE: dict[str, tuple[Callable[[Path], None], str, str]] = {  # by fault: how, what is said, options that show it
    "gone": (remove, "is not there", ""),
    "cut": (
        cut,
        "bytes there instead of",
        "",
    ),
    "rotten": (spoil, "is damaged there", "--verify"),
}


@pytest.mark.parametrize("fault", REMOTE)
@pytest.mark.parametrize("which", ["file", "list"])
def test_what_a_push_mends_on_the_remote(here: Path, fsck: Fsck, fault: str, which: str) -> None:
    make, said, option = REMOTE[fault]
    remote = TEAM / "files/md5"
    make(stored(THREE, remote) if which == "file" else list_of(remote))
    assert fsck()[0] == 0
    assert fsck("--remote team")[0] == (0 if option else 1)
    code, lines = fsck("--remote", option)
    assert code == 1
    (line, closing) = lines
    path = (
        "set/r1/in/3 (folder@r1): remote 'team': " if which == "file" else "set/r1 (folder@r1): remote 'team': the list"
    )
    assert line.startswith(path)
    assert said in line
    assert "remote 'team' compared" in closing
    assert shell(remedy(line)) == 0
    assert fsck("--remote --verify")[0] == 0


def test_what_is_lost_here_and_on_the_remote(here: Path, fsck: Fsck) -> None:
    spoil(stored(THREE, TEAM / "files/md5"))
    both(spoil, THREE)
    code, lines = fsck("--remote --verify")
    assert code == 1
    local, remote, _ = lines
    assert "dvc repro folder@r1" in remedy(local)  # since a pull would bring nothing whole
    assert shell(remedy(remote)) == 0
    assert fsck("--remote --verify")[0] == 0
