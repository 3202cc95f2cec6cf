"""Temporary folders that the coordinator and all workers see under one path."""

import contextlib
import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from winnow.engine.pulse import PULSE, abandoned, pulse
from winnow.engine.settings import Settings, load_settings
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

PREFIX = "jobs-"  # of the names of folders
LOCK = "lock"  # file in a folder of this machine alone, locked by the process that made it as long as it lives
LOCKED_WITHIN = 60.0  # seconds from making that file


def place_for_all(settings: Settings) -> Path:
    """The folder in which folders for all workers are made.

    It is the one that engine.yaml names; else the system's for temporary files where all workers are on this machine,
    and one in the repository where they are not.
    """
    if settings.shared is not None:
        return Path(settings.shared).absolute()
    on_this_machine = settings.engine == "local" or (settings.engine == "ray" and settings.address is None)
    return Path(tempfile.gettempdir()) if on_this_machine else ROOT / ".winnow" / "engine"


@contextmanager
def folder_for_all(settings: Settings | None = None) -> Iterator[Path]:
    """A new folder for what jobs read or write beside their arguments; it is gone when the block ends.

    What killed coordinators left beside it is removed. No other user may read or write it, since there are pickles in
    it.

    Args:
        settings: of the engine; None: those of the repository.

    Raises:
        UserError: it cannot be made.
    """
    place = place_for_all(settings or load_settings())
    try:
        place.mkdir(parents=True, exist_ok=True)
        # A file server keeps the folder of a file that is still mapped; that is no reason to fail.
        folder = tempfile.TemporaryDirectory(dir=place, prefix=PREFIX, ignore_cleanup_errors=True)
    except OSError as error:
        raise UserError(
            f"the shared folder {place} cannot be written ({error.strerror}); correct engine.yaml"
        ) from None
    with folder as name:
        mine = Path(name)
        if place == Path(tempfile.gettempdir()):
            with (mine / LOCK).open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                _sweep_unlocked(place)
                yield mine
            return
        with pulse(mine / PULSE):
            for left in abandoned(mine, PREFIX):
                shutil.rmtree(left, ignore_errors=True)
            yield mine


def _sweep_unlocked(place: Path) -> None:
    """Remove the folders of this machine whose process has ended, which the kernel then unlocked."""
    for lock in place.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError):  # it is locked, another user's, or just removed
            with lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                abandoned_now = time.time() - lock.stat().st_mtime > LOCKED_WITHIN
            if abandoned_now:
                shutil.rmtree(lock.parent, ignore_errors=True)
