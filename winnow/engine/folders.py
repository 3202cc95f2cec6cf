"""Temporary folders that the coordinator and all workers see under one path."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from winnow.engine.pulse import PULSE, abandoned, pulse
from winnow.engine.settings import Settings, load_settings
from winnow.pipeline.files import ROOT
from winnow.pipeline.messages import UserError

PREFIX = "jobs-"  # of the names of folders


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

    Where other machines see it, what killed coordinators left beside it is removed, as the system clears only its own
    folder for temporary files. No other user may read or write it, since there are pickles in it.

    Args:
        settings: of the engine; None: those of the repository.

    Raises:
        UserError: it cannot be made.
    """
    place = place_for_all(settings or load_settings())
    try:
        place.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=place, prefix=PREFIX)
    except OSError as error:
        raise UserError(
            f"the shared folder {place} cannot be written ({error.strerror}); correct engine.yaml"
        ) from None
    with folder as name:
        mine = Path(name)
        if place == Path(tempfile.gettempdir()):
            yield mine
            return
        with pulse(mine / PULSE):
            for left in abandoned(mine, PREFIX):
                shutil.rmtree(left, ignore_errors=True)
            yield mine
