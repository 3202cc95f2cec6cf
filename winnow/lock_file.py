"""dvc.lock after DVC was killed while it wrote it.

DVC writes the whole file anew, in place, after every stage, which for ours takes some tenths of a second. Killed in
them it leaves the beginning of the file, and most often refuses that from then on.
"""

import re
from pathlib import Path

from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml
from voluptuous import Invalid

from winnow.stage import UserError, write_bytes


def mend_lock(file: Path) -> bool:
    """Take out of a lock that was cut short the stage it was cut in; DVC runs it, and what followed, or has it cached.

    A cut that DVC can read is left alone: the stage lacks hashes, so DVC takes it for changed.

    Returns:
        Whether something had to be taken out. A lock without one whole stage is removed.

    Raises:
        UserError: it is spoilt elsewhere than at its end.
    """
    if readable(content := file.read_bytes()):
        return False
    stages = [match.start() for match in re.finditer(rb"^  (?=\S)", content, re.MULTILINE)]
    if len(stages) < 2:
        file.unlink()
        return True
    whole = content[: stages[-1]]
    if not readable(whole):
        raise UserError(f"{file.name} is spoilt, and not only at its end; `git checkout {file.name}` brings one back")
    write_bytes(file, whole)
    return True


def readable(content: bytes) -> bool:
    """Whether DVC takes it for a lock."""
    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(content.decode(), "dvc.lock"))
    except (UnicodeDecodeError, YAMLFileCorruptedError, Invalid):
        return False
    return True
