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


class UserError(Exception):
    """An error that the person running Winnow can fix; the message says where, what and how."""
