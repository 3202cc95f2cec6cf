"""A repository in which ``winnow fsck`` finds what a test did: its files and objects, and ways to spoil them."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

PIPELINE = {
    "stages": {
        "file": {"cmd": "printf table > 'a table'", "outs": ["a table"]},
        "folder": {
            "foreach": ["r1"],
            "do": {
                "cmd": "mkdir -p set/${item}/in && for n in 1 2 3 4 5 6 7; do printf $n > set/${item}/in/$n; done",
                "outs": ["set/${item}"],
            },
        },
        "metric": {
            "cmd": "mkdir -p many && printf one > many/1 && printf '{}' > metric.json",
            "outs": [{"metric.json": {"cache": False}}, {"many": {"cache": False}}],
        },
    }
}
CACHE = Path(".dvc/cache/files/md5")
TEAM = Path("../team")
TABLE, SET, SOURCE, METRIC, MANY = map(Path, ("a table", "set/r1", "mine.zip", "metric.json", "many"))
THREE = SET / "in/3"
MISSING, OTHER = "missing in the workspace", "other bytes in the workspace than dvc.lock names"


Fsck = Callable[..., tuple[int, list[str]]]


def remedy(line: str) -> str:
    match = re.search("`([^`]*)`", line)
    assert match
    return match[1]


def stored(file: Path, cache: Path = CACHE) -> Path:
    """The object of a file, whose content is still whole."""
    md5 = hashlib.md5(file.read_bytes()).hexdigest()
    return cache / md5[:2] / md5[2:]


def list_of(cache: Path = CACHE) -> Path:
    (found,) = cache.rglob("*.dir")
    return found


def spoil(path: Path) -> None:
    """Other bytes of the same size, date and mode, in place: nothing that DVC looks at shows it."""
    status = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.write(b"\xff")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.chmod(status.st_mode)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def cut(path: Path) -> None:
    """The last byte is gone."""
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size - 1)


def instead(path: Path) -> None:
    """A folder stands where a file was, or a file where a folder was."""
    folder = path.is_dir()
    remove(path)
    if folder:
        write(path)
    else:
        path.mkdir()


def each(fault: Callable[[Path], None], *paths: Path) -> None:
    for path in paths:
        fault(path)


def both(fault: Callable[[Path], None], file: Path) -> None:
    """The fault in the cache and in the workspace."""
    fault(stored(file))
    fault(file)


def write(path: Path, content: bytes = b"by hand") -> None:
    path.write_bytes(content)
