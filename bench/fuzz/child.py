"""The process that reads the inputs: one batch a line of its standard input, one line of JSON each for what happens."""

import json
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

from bench.fuzz.checks import check
from bench.fuzz.inputs import TOGETHER, input_of, is_zipped

MOST = 6 * 2**30  # bytes that it may map: a machine is spared what the parent does not see in time


def main() -> None:
    """Read batches until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as noise:  # what libraries print
        os.dup2(noise.fileno(), 1)
        os.dup2(noise.fileno(), 2)
        _say(answers, {"ready": True})
        for line in sys.stdin:
            _say(answers, _answer(json.loads(line), answers, noise.fileno()) | {"noise": _said(noise.fileno())})


def _say(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _said(descriptor: int) -> str:
    """What was printed by libraries since the last look."""
    text = os.pread(descriptor, 2000, 0).decode(errors="replace")
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return text


def _answer(request: dict[str, Any], answers: TextIO, noise: int) -> dict[str, Any]:
    numbers: list[int] = request["numbers"]
    seed: int = request["seed"]
    place = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        found = check(
            [input_of(seed, number) for number in numbers],
            place,
            zipped=is_zipped(seed, numbers[0] // TOGETHER),
            tell=lambda number: _say(answers, {"at": number}),
            said=lambda: _said(noise),
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)
    findings = [finding.to_json() for finding in found.findings]
    return {"fates": {str(number): fate for number, fate in found.fates.items()}, "findings": findings}


if __name__ == "__main__":
    main()
