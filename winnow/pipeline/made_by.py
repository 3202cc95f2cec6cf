"""What made an intermediate result, as a digest: one of other code, libraries or settings is not used again."""

import hashlib
import platform
from collections.abc import Sequence
from importlib import metadata

from winnow.pipeline.files import digest
from winnow.pipeline.repository import CODE


def made_by(*settings: object, code: Sequence[str], libraries: Sequence[str]) -> str:
    """64 hex digits, equal where all of these are.

    Args:
        settings: values whose ``repr`` says all that matters of them.
        code: packages and modules of the project, such as winnow/pictures.
        libraries: distributions that decide on results.
    """
    versions = [platform.python_version(), platform.machine(), *map(metadata.version, libraries)]
    same = repr((settings, versions, digest(CODE / package for package in code)))
    return hashlib.sha256(same.encode()).hexdigest()
