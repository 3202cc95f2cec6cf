"""Files that hold the old or the new content, whole, after a kill and after a loss of power.

The content is written to a new file beside and synced, the new file takes the place of the old one, and the folder is
synced, because the folder records which file has the name. Without the syncs a file may be empty after a loss of power,
or the old one, although the program that wrote it has long ended.
"""

import contextlib
import ctypes
import errno
import glob
import os
import re
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

TEMPORARY = ".partial"  # ends the name of a file that is being written; .gitignore has it
NAME_SHOWN = 40  # characters of a file's name in that of its temporary file, so that this is not too long
MANY = 64  # files from which one sync of everything is faster than a sync of each
REPORTING = (5, 8)  # of Linux, since which syncfs reports that a file could not be written

Part = bytes | memoryview


def replace_file(path: Path, parts: Sequence[Part], *, sync: bool = True) -> None:
    """Put a file with this content into its place, where it is as lasting as the disk when this returns.

    Two writers at once do not meet: each has a file of its own, and the last one's stays. A link at ``path`` is
    replaced and not followed. A file that is replaced passes its mode on.

    Args:
        path: of the file; folders that are missing are made.
        parts: of the content, one after another.
        sync: False where ``sync_folder`` follows.

    Raises:
        OSError: nothing was written, and what was there before is there still.
    """
    if sync:
        _make_folder(path.parent)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
    beside, number = _new_file(path)
    try:
        with os.fdopen(number, "wb") as file:
            _take_mode(number, path)
            for part in parts:
                file.write(part)
            file.flush()
            if sync:
                os.fsync(number)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if sync:
        _sync(path.parent)


def link_file(file: Path, to: Path) -> None:
    """Give a file a second name, which is as lasting as the disk when this returns.

    Raises:
        OSError: the file systems cannot; ``to`` is not there then.
    """
    to.unlink(missing_ok=True)
    os.link(file, to)
    _sync(to)
    _sync(to.parent)


def sync_folder(folder: Path) -> None:
    """Bring a finished folder to the disk, with all that is below it and the names of the folders above it.

    5,000 small files: 0.3 s with one sync of their file system, 9 s with one each.
    """
    places = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    folders = [Path(place) for place, _, _ in os.walk(folder, topdown=False)]
    if len(places) > MANY and sync_file_system(folder):
        places, folders = [], []
    for place in (*places, *folders, *folder.parents):
        _sync(place)


def sync_file_system(folder: Path) -> bool:
    """Bring all of a folder's file system to the disk; False where the system has no call for it that reports errors.

    Raises:
        OSError: some of it could not be written.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)  # Linux alone; os.sync reports no errors
    if syncfs is None or _version(os.uname().release) < REPORTING:
        return False
    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if syncfs(number):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(number)
    return True


def _version(release: str) -> tuple[int, ...]:
    """Major and minor number of a kernel."""
    return tuple(int(part) for part in re.findall("[0-9]+", release)[:2])


def sweep(folder: Path, name: str = "") -> None:
    """Remove what killed writers left in a folder; no writer may be at work there.

    Args:
        folder: need not be there.
        name: of the file that they wrote; without one, any.
    """
    written = glob.escape(name[:NAME_SHOWN]) or "*"
    for left in folder.glob(f".{written}.{'[0-9a-f]' * 8}{TEMPORARY}"):
        left.unlink(missing_ok=True)


def _new_file(path: Path) -> tuple[Path, int]:
    """A new file beside ``path``, and its descriptor for writing.

    As ``tempfile.mkstemp`` makes it, but with the mode of an ordinary new file: mkstemp's is 0600, and the umask that
    would correct it can be read only by setting it, for all threads.
    """
    while True:
        beside = path.with_name(f".{path.name[:NAME_SHOWN]}.{secrets.token_hex(4)}{TEMPORARY}")
        with contextlib.suppress(FileExistsError):  # O_EXCL: nor does a link that somebody put there lead elsewhere
            return beside, os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _take_mode(number: int, path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            os.fchmod(number, stat.S_IMODE(mode))


def _make_folder(folder: Path) -> None:
    """The folder and those above it; the names of new ones are synced."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(place: Path) -> None:
    try:
        number = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:  # a folder that this user may not list: it is the system's or another user's
        return
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of a file system on which folders are not synced
            raise
    finally:
        os.close(number)
