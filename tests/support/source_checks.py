"""The check of a source before a run: what it refuses, and sources of empty files."""

from pathlib import Path
from typing import Any

import pytest

from winnow.intake.source import check_source
from winnow.pipeline.messages import UserError

LIMITS: dict[str, Any] = {"max_unreadable": 0.05, "max_pixels": 1_000_000}


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        check_source(path, **LIMITS)
    message = str(caught.value)
    assert message.startswith("source ")
    assert "\n" not in message
    return message


def empty(names: str) -> dict[str, bytes]:
    return dict.fromkeys(names.split(), b"")
