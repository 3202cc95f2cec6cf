"""Errors that the person running Winnow can fix, and names as messages show them."""

import errno
import re
from pathlib import Path


def shown(text: str | Path) -> str:
    """A name as one readable line: quoted, control characters escaped, the middle of a long one left out."""
    quoted = repr(str(text))
    return quoted if len(quoted) <= 120 else f"{quoted[:58]}...{quoted[-58:]}"


def plain(text: str) -> str:
    """A name as it is, or quoted with escapes where a character in it is invisible or would break the line."""
    return text if text and text.isprintable() else repr(text)


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key by which 2 comes before 10; names that differ in leading zeros only keep one order too.

    A number is compared by its count of digits, then by these: ``int`` refuses long ones.
    """
    parts = re.split("([0-9]+)", name)  # words at even places, numbers at odd ones
    numbers = [part.lstrip("0") if index % 2 else part for index, part in enumerate(parts)]
    return [(len(part) if index % 2 else 0, part) for index, part in enumerate(numbers)], name


DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's quota, the process's limit


WAY_BACK = (
    "make room and run the same command again, or go back to what dvc.lock names with "
    "`git checkout dvc.lock metrics` and `dvc checkout --force`"
)


DISK_FAILS = (errno.EIO, errno.ESTALE, errno.EROFS)  # the disk, the file server, a disk turned read-only by its faults


NO_MEMORY = (
    "memory ran out; end other programs, take a machine with more memory, or let fewer workers run at once (set "
    "LOKY_MAX_CPU_COUNT=1), and run the same command again"
)


def failure_of_the_machine(error: BaseException) -> str | None:
    """The sentence for an error of the machine, as a worker's or a library's own file or array meets it.

    Returns:
        What happened and what to do; None where the error is another, most likely one of the program.
    """
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or code == errno.ENOMEM or "DefaultCPUAllocator" in str(error):  # PyTorch's own
        return NO_MEMORY
    words = " ".join(str(error).split())
    if code in DISK_FULL:
        return f"no room left on a disk ({words}); {WAY_BACK}"
    if code in DISK_FAILS:
        return f"a disk cannot be read or written ({words}); look after it, and run the same command again"
    return None


class UserError(Exception):
    """An error that the person running Winnow can fix; the message says where, what and how."""
