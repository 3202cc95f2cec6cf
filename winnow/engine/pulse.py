"""A sign of life that processes on other machines can see: a file in the shared folder that keeps changing.

A coordinator that is killed cannot end its jobs, which would go on and write into the outputs of the next run.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PULSE = "pulse"  # the file, in a folder that an engine made
EVERY = 5.0  # seconds between two beats, and between two looks at them
DEAD_AFTER = 60.0  # seconds without a change; file servers show one after up to half of them
ABANDONED_AFTER = 600.0  # seconds between the last beat and the file server's clock


@contextmanager
def pulse(file: Path) -> Iterator[None]:
    """Change a file every few seconds until the block ends."""
    file.write_text("0", encoding="ascii")
    ended = threading.Event()

    def beat() -> None:
        count = 0
        while not ended.wait(EVERY):
            count += 1
            with contextlib.suppress(OSError):  # a full disk; a later beat may succeed
                file.write_text(str(count), encoding="ascii")

    thread = threading.Thread(target=beat, daemon=True, name="pulse")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def end_without(file: Path, *, every: float = EVERY, dead_after: float = DEAD_AFTER) -> None:
    """End this process, whatever it is doing, once a file has not changed for a while or is gone.

    Args:
        file: that ``pulse`` changes, on whatever machine.
        every: seconds between two looks.
        dead_after: seconds without a change after which it ends.
    """
    ended = threading.Event()

    def look() -> None:
        last, unchanged = _content(file), 0.0
        while last is not None and unchanged < dead_after:
            ended.wait(every)
            now = _content(file)
            last, unchanged = now, unchanged + every if now == last else 0.0
        os.write(2, b"the stage that this job is of has ended\n")
        os._exit(1)

    threading.Thread(target=look, daemon=True, name="pulse").start()


def abandoned(mine: Path, prefix: str) -> list[Path]:
    """Folders beside one's own that coordinators of this user left as they were killed: the last beat is long ago.

    Args:
        mine: folder whose file ``PULSE`` was written just now, so that the clock is the file server's.
        prefix: of the names.
    """
    now = (mine / PULSE).stat().st_mtime
    found = []
    for folder in sorted(mine.parent.glob(f"{prefix}*")):
        with contextlib.suppress(OSError):  # it has no pulse, or its coordinator has just removed it
            state = (folder / PULSE).stat()
            if state.st_uid == os.getuid() and now - state.st_mtime > ABANDONED_AFTER:
                found.append(folder)
    return found


def _content(file: Path) -> bytes | None:
    """What it holds; None where it or its folder is gone."""
    try:
        return file.read_bytes()
    except OSError as error:
        return None if isinstance(error, FileNotFoundError | NotADirectoryError) else b""
